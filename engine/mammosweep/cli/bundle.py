"""``mammosweep bundle``: look at a model's bundle, verify its files, or make one of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from mammosweep.cli.options import BundlePath, Manifest, numbers, sizes
from mammosweep.cli.saying import UNUSABLE, said, tell
from mammosweep.errors import ConfigError

__all__ = ["bundle_app"]

bundle_app = typer.Typer(
    no_args_is_help=True, help="Look at a model's bundle, verify its files, or make one."
)


@bundle_app.command("show")
def bundle_show(bundle: BundlePath = None) -> None:
    """Show what a bundle says of itself."""
    from mammosweep.bundle.load import reference_bundle_path
    from mammosweep.bundle.manifest import read_manifest
    from mammosweep.run.summary import manifest_table

    with said(UNUSABLE):
        manifest = read_manifest(bundle or reference_bundle_path())
    Console().print(manifest_table(manifest))


@bundle_app.command("verify")
def bundle_verify(bundle: BundlePath = None) -> None:
    """Check that every file of a bundle is the one its manifest lists."""
    from mammosweep.bundle import open_bundle

    with said(UNUSABLE):
        opened = open_bundle(bundle)
    files = len(opened.manifest.files)
    tell(f"{opened.title}: {files} files are as bundle.toml lists them; digest {opened.digest}")


@bundle_app.command("import")
def bundle_import(
    layout: Annotated[
        Literal["torchvision", "detectron2"],
        typer.Argument(metavar="LAYOUT", help="Whose names the checkpoint has: torchvision, detectron2."),
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Faster R-CNN R50-FPN's state dict, .safetensors.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle's folder; it must not exist.")],
    grid_mm: Annotated[float, typer.Option(help="Side of a pixel that it was fitted for, millimetres.")],
    types: Annotated[
        str, typer.Option(help="The checkpoint's classes without background, in its order.")
    ] = "mass,calcification,asymmetry,distortion",
    image_mean: Annotated[
        str | None,
        typer.Option(
            help="Subtracted from each channel; one number stands for all. detectron2: of 0 to 255.",
            show_default="the layout's own",
        ),
    ] = None,
    image_std: Annotated[
        str | None,
        typer.Option(help="Each channel is divided by it.", show_default="the layout's own"),
    ] = None,
    batch_norm_eps: Annotated[
        float,
        typer.Option(help="Of the trunk's batch normalisation; 0 after torchvision's weights COCO_V1."),
    ] = 1e-5,
    anchor_sizes: Annotated[
        str, typer.Option(help="Of the five levels' anchors, in pixels.")
    ] = "32,64,128,256,512",
    aspect_ratios: Annotated[str, typer.Option(help="Of the anchors: height by width.")] = "0.5,1,2",
    proposals_per_level: Annotated[int, typer.Option(help="Anchors that each level passes on.")] = 1000,
    proposals: Annotated[int, typer.Option(help="Regions a view that the box head judges.")] = 1000,
    score_floor: Annotated[float, typer.Option(help="Weaker candidates are dropped.")] = 0.05,
    merge_iou: Annotated[
        float, typer.Option(help="Boxes of one type that overlap more are one candidate.")
    ] = 0.5,
    candidates: Annotated[int, typer.Option(help="Kept in each view.")] = 100,
    buckets: Annotated[
        str | None,
        typer.Option(
            help="Canvases, ROWSxCOLUMNS in multiples of 32, at most 12: 1024x640,2048x1600.",
            show_default="for breasts of up to 300 x 240 mm",
        ),
    ] = None,
    fusion: Annotated[
        bool,
        typer.Option("--fusion", help="Add the four-view network; it changes nothing until it is fitted."),
    ] = False,
    stride_in_3x3: Annotated[
        bool,
        typer.Option("--stride-in-3x3", help="detectron2: fitted with RESNETS.STRIDE_IN_1X1 False."),
    ] = False,
    name: Annotated[str | None, typer.Option(help="The bundle's.", show_default="the file's")] = None,
    version: Annotated[str, typer.Option(help="The bundle's.")] = "1",
    note: Annotated[str, typer.Option(help="Said on every page, after that it is a detector only.")] = "",
    views: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Store the pixels of up to 8 exams of this source in the bundle, to check plans on.",
        ),
    ] = None,
    manifest: Manifest = None,
) -> None:
    """Make a detector-only bundle of a published checkpoint.

    torchvision's fasterrcnn_resnet50_fpn gives the detections that torchvision gives on the same pixels.
    Detectron2's faster_rcnn_R_50_FPN does so only where it was fitted with STRIDE_IN_1X1 False, POOLER_TYPE
    ROIAlign, POOLER_SAMPLING_RATIO 2 and rounded anchors: the bundle's card says more. The images that a
    checkpoint was fitted on must look as this engine's do: see the card.
    """
    with said(UNUSABLE):
        from mammosweep.adopt import ViewsSource, adopt
        from mammosweep.bundle.importing.settings import ImportSettings, Layout, lesion_types

        settings = ImportSettings(
            grid_mm=grid_mm,
            types=lesion_types(types),
            image_mean=numbers("--image-mean", image_mean or ""),
            image_std=numbers("--image-std", image_std or ""),
            batch_norm_eps=batch_norm_eps,
            anchor_sizes=numbers("--anchor-sizes", anchor_sizes),
            aspect_ratios=numbers("--aspect-ratios", aspect_ratios),
            proposals_per_level=proposals_per_level,
            proposals=proposals,
            score_floor=score_floor,
            merge_iou=merge_iou,
            candidates=candidates,
            buckets=sizes("--buckets", buckets or ""),
            fusion=fusion,
            stride_in_3x3=stride_in_3x3,
            name=name or "",
            version=version,
            note=note,
        )
        if manifest and not views:
            raise ConfigError("--manifest says what the exams of --views are; give both, or neither")
        source = ViewsSource(views, manifest) if views else None
        made = adopt(file, Layout(layout), settings, out, source)
    tell(f"{made.title} in {out}; look at it with: mammosweep bundle show {out}")
