"""The section "Muscles": the fat in each, the map that it is told by, and their share of the heat."""

from contextlib import suppress

import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.errors import InputError
from DystrophyDxWidgets.EditedSection import EditedSection
from DystrophyDxWidgets.helpers import loadWidget, quiet, say
from DystrophyDxWidgets.LegPicture import LegPicture
from DystrophyDxWidgets.RegionEditor import RegionEditor


class MusclesSection(EditedSection):
    """Tells the fat of each muscle, and shows and corrects the map of the muscles."""

    def __init__(self, context):
        self.widget, self.ui = loadWidget("MusclesSection")
        self.widget.setMRMLScene(slicer.mrmlScene)
        ui = self.ui
        self.legs = LegPicture(ui.legsLabel, ui.legsCaptionLabel)
        super().__init__(context, ui.editMapButton, RegionEditor(ui.mapEditorFrame, "DystrophyDxMuscles"))
        ui.musclesSection.connect("contentsCollapsed(bool)", self.onFolded)
        ui.showMapCheckBox.connect("toggled(bool)", self.onShowMap)
        ui.editMapButton.connect("toggled(bool)", self.onEditMap)
        ui.resetMapButton.connect("clicked()", self.onResetMap)
        context.changed.connect(self.onChanged)
        context.heatChanged.connect(self.showShares)
        context.enabling.connect(self.onEnabling)

    @property
    def _map(self):
        """Segmentation node of the chosen volume's muscles; None where there is none."""
        if self._context.classification is None:
            return None
        from DystrophyDxLib.mrml.muscle_nodes import muscles_node

        return muscles_node(self._context.volume)

    def onChanged(self):
        self._watch.watch(self._map)
        if self._map is None:
            self.endEditing()
        self._showFat()
        self._showMap()
        self._offerMuscles()
        self.showShares()

    def _showFat(self):
        """Chart and table are made when the section is opened: that takes longer than all else of an answer."""
        ui, result = self.ui, self._context.result
        title, legs, table, notes = _("Muscles"), None, "", ""
        if result is not None:
            from DystrophyDxLib.panel.muscle_words import fat_table_html, muscles_notes, muscles_title

            title = muscles_title(result)
            if not ui.musclesSection.collapsed:
                legs, table, notes = self._chart(result), fat_table_html(result), muscles_notes(result)
        ui.musclesSection.text = title
        self.legs.show(legs)
        say(ui.fatLabel, table)
        say(ui.musclesNotesLabel, notes)

    def _chart(self, result):
        """`LegChart` of the map as it is in the scene; None where that cannot be drawn."""
        from DystrophyDxLib.mrml.leg_chart import leg_chart

        with suppress(InputError):
            return leg_chart(self._context.classification, result)

    def cleanup(self):
        super().cleanup()
        self.legs.cleanup()

    def onFolded(self, folded):
        if not folded:
            self._showFat()

    def _showMap(self):
        ui, node = self.ui, self._map
        display = node.GetDisplayNode() if node is not None else None
        ui.mapFrame.visible = display is not None
        with quiet(ui.showMapCheckBox):
            ui.showMapCheckBox.checked = display is not None and bool(display.GetVisibility())

    def onShowMap(self, shown):
        if self._map is not None and self._map.GetDisplayNode() is not None:
            self._map.GetDisplayNode().SetVisibility(shown)
            self._keepWithImages()

    def _keepWithImages(self):
        """Muscles of one study are not seen over the images of another."""
        from DystrophyDxLib.mrml.layers import keep_with_images

        keep_with_images(slicer.mrmlScene)

    def onEditMap(self, edited):
        if edited and self._map is not None:
            self._context.editing(self)
            self.ui.showMapCheckBox.checked = True
            self.editor.open(self._map, self._context.volume)
        else:
            self.editor.close()
        self.ui.mapEditorFrame.visible = edited
        if edited:
            self._context.bringIntoView(self.ui.mapFrame)

    def onResetMap(self):
        from DystrophyDxLib.mrml.classification import reset_muscles

        with self._context.reporting():
            if self.ui.editMapButton.checked:
                self.editor.saveStateForUndo()
            reset_muscles(self._context.classification)
        self._context.changed()

    def onEdited(self):
        """Half a second after the last edit of the map."""
        classification = self._context.classification
        if classification is None or self._context.result is None:
            return
        if self._context.busy:
            self._watch.again()
            return
        from DystrophyDxLib.mrml.classification import tell_muscles

        with self._context.reporting():
            if tell_muscles(classification):
                self._context.changed()
        self._context.enable()

    def onViewsChanged(self):
        """Nobody draws the muscles of one study over the images of another."""
        shown = self._context.view.classification
        if shown is not None and shown != self._context.classification:
            self.endEditing()

    def _offerMuscles(self):
        """Neither legs nor the map above are offered as muscles; without other segmentations none is asked for."""
        if self._context.view is None:
            return
        from DystrophyDxLib.mrml.layers import own_segmentations

        own = [segmentation.GetID() for segmentation in own_segmentations(slicer.mrmlScene)]
        self.ui.musclesSelector.sortFilterProxyModel().hiddenNodeIDs = own
        count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        self.ui.musclesFrame.visible = count > len(own)

    def showShares(self):
        """The share of each muscle of a person's segmentation under the heat that is seen."""
        classification, parameters = self._context.classification, self._context.parameters
        muscles = parameters.muscles if parameters is not None else None
        self.ui.musclesLabel.text = ""
        if muscles is None or self._context.result is None or classification.segmentation is None:
            return
        from DystrophyDxLib.panel.rich_text import muscles_html

        try:
            self.ui.musclesLabel.text = muscles_html(classification.texture_scores(muscles))
        except InputError as error:
            self.ui.musclesLabel.text = str(error)

    def onEnabling(self, possible):
        ui = self.ui
        for widget in (ui.showMapCheckBox, ui.editMapButton):
            widget.enabled = possible.use_result
        ui.resetMapButton.enabled = possible.use_result and self._corrected()

    def _corrected(self):
        from DystrophyDxLib.mrml.muscle_nodes import muscles_corrected

        return self._map is not None and muscles_corrected(self._context.volume)
