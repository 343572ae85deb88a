"""A bundle is a model as files: `bundle.toml`, safetensors weights, XGBoost UBJ models and a model card."""

from mammosweep.bundle.load import Bundle, open_bundle, reference_bundle_path
from mammosweep.bundle.manifest import BundleManifest, DetectorSpec

__all__ = ["Bundle", "BundleManifest", "DetectorSpec", "open_bundle", "reference_bundle_path"]
