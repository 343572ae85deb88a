"""Cases 59 to 74: which view it is, and what several images make of an exam."""

from __future__ import annotations

from pydicom import uid
from pydicom.dataset import Dataset
from tests.cases.making import Desk, changed, several
from tests.cases.table import LONE_VIEW, VIEW, Case, Exam, Image, not_scored, used

from mammosweep.errors import Flag, Reason
from mammosweep.records import ExamStatus, ImageStatus

__all__ = ["CASES"]

BUNDLES = "test_cases_of_bundles.py::test_what_a_bundle_was_fitted_on_is_scored_and_flagged[]"
OWN = "test_cases_of_exams.py::"
USED, SET_ASIDE = Image(status=ImageStatus.USED), ImageStatus.SET_ASIDE
FOR_PROCESSING = {
    "SOPClassUID": uid.DigitalMammographyXRayImageStorageForProcessing,
    "PresentationIntentType": "FOR PROCESSING",
}
MANIFEST = {"path": VIEW}


def code(value: str, meaning: str, **more: object) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    for keyword, content in more.items():
        setattr(item, keyword, content)
    return item


def modified(value: str, meaning: str) -> list[Dataset]:
    """View Code Sequence of a CC view with a modifier of CID 4015."""
    return [code("399162004", "cranio-caudal", ViewModifierCodeSequence=[code(value, meaning)])]


def frame_side(side: str) -> list[Dataset]:
    anatomy, group = Dataset(), Dataset()
    anatomy.FrameLaterality = side
    group.FrameAnatomySequence = [anatomy]
    return [group]


def mirrored(*views: str):
    """Images whose pixels were mirrored after their headers were written."""

    def build(desk: Desk) -> None:
        for view in views:
            pixels = desk.pixels(view)[:, ::-1].tobytes()
            desk.save(desk.image(view, PixelData=pixels), VIEW if len(views) == 1 else f"{view}.dcm")

    return build


def structured_report(desk: Desk) -> None:
    dataset = desk.image(
        PixelData=None,
        **dict.fromkeys(("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel")),
        SOPClassUID=uid.ComprehensiveSRStorage,
    )
    desk.save(dataset)


def not_used(reason: Reason, *said: str) -> Image:
    return Image(status=SET_ASIDE, reason=reason, said=said)


TWICE = not_used(Reason.DUPLICATE_VIEW, "taken more than once")
LOST = Flag.IMAGES_NOT_USED
SWAP = not_used(Reason.SIDE_CONTRADICTED, "possible left/right swap", "Patient Orientation (0020,0020)")

CASES = (
    Case(
        number=59,
        name="laterality missing",
        fed="no Image Laterality, no Laterality",
        build=changed(ImageLaterality=None),
        **not_scored(Reason.LATERALITY_MISSING, "Image Laterality (0020,0062)", "'L' or 'R'", "manifest"),
    ),
    Case(
        number=60,
        name="Laterality disagrees",
        fed="Image Laterality L, Laterality R",
        build=changed(Laterality="R"),
        **not_scored(Reason.LATERALITY_CONFLICT, "(0020,0062) is 'L'", "(0020,0060) is 'R'", "manifest"),
    ),
    Case(
        number=60,
        name="Frame Laterality disagrees",
        fed="Image Laterality L, Frame Laterality R",
        build=changed(SharedFunctionalGroupsSequence=frame_side("R")),
        **not_scored(Reason.LATERALITY_CONFLICT, "(0020,0062) is 'L'", "(0020,9072) is 'R'"),
    ),
    *(
        Case(
            number=61,
            name=f"mirrored {view}",
            fed=f"{view} with mirrored pixels under an unchanged Patient Orientation",
            build=mirrored(view),
            images={VIEW: SWAP},
            exam=Exam(status=ExamStatus.NOT_SCORED, reason=Reason.SIDE_CONTRADICTED),
        )
        for view in ("LCC", "RCC", "LMLO", "RMLO")
    ),
    Case(
        number=61,
        name="all four mirrored",
        fed="four views with mirrored pixels",
        build=mirrored("LCC", "RCC", "LMLO", "RMLO"),
        images=dict.fromkeys(("LCC.dcm", "RCC.dcm", "LMLO.dcm", "RMLO.dcm"), SWAP),
        exam=Exam(status=ExamStatus.NOT_SCORED, reason=Reason.SIDE_CONTRADICTED),
    ),
    Case(
        number=62,
        name="view missing",
        fed="no View Code Sequence, no View Position",
        build=changed(ViewPosition=None, ViewCodeSequence=None),
        **not_scored(Reason.VIEW_MISSING, "View Position (0018,5101)", "manifest"),
    ),
    Case(
        number=62,
        name="ML in View Position",
        fed="View Position ML",
        build=changed(ViewPosition="ML", ViewCodeSequence=None),
        **not_scored(Reason.VIEW_UNSUPPORTED, "View Position (0018,5101) is 'ML'", "expected 'CC' or 'MLO'"),
    ),
    Case(
        number=62,
        name="ML in View Code",
        fed="View Code Sequence: medio-lateral",
        build=changed(ViewPosition=None, ViewCodeSequence=[code("399260004", "medio-lateral")]),
        **not_scored(Reason.VIEW_UNSUPPORTED, "View Code Sequence (0054,0220)", "ML;", "expected CC or MLO"),
    ),
    Case(
        number=63,
        name="three views",
        fed="LCC, RCC, LMLO",
        build=several({"view": "LCC"}, {"view": "RCC"}, {"view": "LMLO"}),
        images=dict.fromkeys(("LCC.dcm", "RCC.dcm", "LMLO.dcm"), USED),
        exam=Exam(status=ExamStatus.FLAGGED, flags=(Flag.MISSING_VIEWS,)),
    ),
    *(
        Case(
            number=64,
            name=meaning,
            fed=f"LCC, and an LCC with the view modifier {meaning}",
            build=several(
                {"name": "plain.dcm"}, {"name": "extra.dcm", "ViewCodeSequence": modified(value, meaning)}
            ),
            images={
                "plain.dcm": USED,
                "extra.dcm": not_used(Reason.EXTRA_VIEW, "View Modifier Code Sequence (0054,0222)"),
            },
            exam=Exam(status=ExamStatus.FLAGGED, flags=(*LONE_VIEW, Flag.EXTRA_VIEWS, LOST)),
        )
        for value, meaning in (
            ("399055006", "spot compression"),
            ("399163009", "magnification"),
            ("399209000", "implant displaced"),
        )
    ),
    Case(
        number=65,
        name="the same view twice",
        fed="two LCC of one size: the larger UID is used, whatever the names",
        build=several(
            {"name": "first.dcm", "SOPInstanceUID": "2.25.65.2"},
            {"name": "second.dcm", "SOPInstanceUID": "2.25.65.1"},
        ),
        images={"first.dcm": USED, "second.dcm": TWICE},
        exam=Exam(status=ExamStatus.FLAGGED, flags=(*LONE_VIEW, Flag.DUPLICATE_VIEWS, LOST)),
    ),
    Case(
        number=65,
        name="the same view twice under other names",
        fed="the same, the names exchanged",
        build=several(
            {"name": "first.dcm", "SOPInstanceUID": "2.25.65.3"},
            {"name": "second.dcm", "SOPInstanceUID": "2.25.65.4"},
        ),
        images={"first.dcm": TWICE, "second.dcm": USED},
        exam=Exam(status=ExamStatus.FLAGGED, flags=(*LONE_VIEW, Flag.DUPLICATE_VIEWS, LOST)),
    ),
    Case(
        number=66,
        name="both breasts",
        fed="Image Laterality B",
        build=changed(ImageLaterality="B"),
        **not_scored(Reason.BOTH_BREASTS, "Image Laterality (0020,0062) is 'B'", "expected 'L' or 'R'"),
    ),
    Case(
        number=67,
        name="one breast",
        fed="LCC and LMLO",
        build=several({"view": "LCC"}, {"view": "LMLO"}),
        images={"LCC.dcm": USED, "LMLO.dcm": USED},
        exam=Exam(status=ExamStatus.FLAGGED, flags=LONE_VIEW),
    ),
    Case(
        number=68,
        name="spacing differs",
        fed="LCC of 0.4 mm and LMLO of 0.38 mm",
        build=several({"view": "LCC"}, {"view": "LMLO", "ImagerPixelSpacing": [0.38, 0.38]}),
        images={"LCC.dcm": USED, "LMLO.dcm": USED},
        exam=Exam(status=ExamStatus.FLAGGED, flags=(*LONE_VIEW, Flag.SPACING_DIFFERS)),
    ),
    Case(
        number=69,
        name="spacing missing",
        fed="no Imager Pixel Spacing, no calibrated Pixel Spacing",
        build=changed(ImagerPixelSpacing=None, PixelSpacing=[0.1, 0.1]),
        **not_scored(Reason.SPACING_MISSING, "Imager Pixel Spacing (0018,1164)", "spacing_mm in a manifest"),
    ),
    Case(
        number=69,
        name="spacing of metres",
        fed="Imager Pixel Spacing 70",
        build=changed(ImagerPixelSpacing=[70, 70]),
        **not_scored(Reason.SPACING_IMPLAUSIBLE, "70 x 70 mm", "spacing_mm in a manifest"),
    ),
    Case(
        number=69,
        name="spacing of the manifest",
        fed="no Imager Pixel Spacing, and a manifest that gives it",
        build=changed(ImagerPixelSpacing=None),
        manifest=(MANIFEST | {"spacing_mm": "0.4"},),
        **used(Flag.FROM_MANIFEST),
    ),
    Case(
        number=70,
        name="Secondary Capture",
        fed="a Secondary Capture that no manifest vouches for",
        build=changed(SOPClassUID=uid.SecondaryCaptureImageStorage),
        **not_scored(Reason.SOP_CLASS, "SOP Class UID (0008,0016)", "Secondary Capture", "manifest"),
    ),
    Case(
        number=70,
        name="CT",
        fed="a CT image",
        build=changed(SOPClassUID=uid.CTImageStorage),
        **not_scored(Reason.SOP_CLASS, "CT Image Storage", "expected Digital Mammography"),
    ),
    Case(
        number=70,
        name="structured report",
        fed="a Comprehensive SR",
        build=structured_report,
        **not_scored(Reason.SOP_CLASS, "Comprehensive SR", "expected Digital Mammography"),
    ),
    Case(
        number=71,
        name="both intents",
        fed="LCC For Processing and For Presentation",
        build=several({"name": "raw.dcm", **FOR_PROCESSING}, {"name": "shown.dcm"}),
        images={
            "raw.dcm": not_used(Reason.FOR_PROCESSING, "the For Presentation image of the same view is used"),
            "shown.dcm": USED,
        },
        exam=Exam(status=ExamStatus.FLAGGED, flags=(*LONE_VIEW, LOST)),
    ),
    Case(
        number=71,
        name="For Processing alone",
        fed="LCC For Processing",
        build=changed(**FOR_PROCESSING),
        **not_scored(Reason.FOR_PROCESSING, "For Processing", "expected For Presentation"),
    ),
    Case(
        number=71,
        name="For Processing that the bundle was fitted on",
        fed="LCC For Processing, and a bundle that says allow_for_processing",
        test=BUNDLES,
        **used(),
    ),
    Case(
        number=72,
        name="late image",
        fed="RMLO, which arrives after its exam was swept",
        test=OWN + "test_72_a_late_image_makes_a_new_revision_and_the_old_one_stays",
        images={VIEW: USED},
        exam=Exam(status=ExamStatus.SCORED),
    ),
    Case(
        number=73,
        name="a man",
        fed="Patient's Sex M",
        build=changed(PatientSex="M"),
        **not_scored(Reason.NON_SCREENING, "Patient's Sex (0010,0040) is 'M'"),
    ),
    Case(
        number=74,
        name="burned-in annotation",
        fed="Burned In Annotation YES",
        build=changed(BurnedInAnnotation="YES"),
        **used(Flag.BURNED_IN_ANNOTATION),
    ),
)
