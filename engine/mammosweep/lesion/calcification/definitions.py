"""The 15 features of calcifications and the 26 of the dense region around them: names, units, sources.

After Wang J, Yang X, Cai H, et al. 2016, "Discrimination of Breast Cancer with Microcalcifications on
Mammography by Deep Learning", Sci Rep 6:27327, which classifies by 15 features of calcifications, 26 of
masses, and all 41. Its tables of features were not at hand: the numbers of features are the paper's, the
features are standard ones of the same kinds, each with the publication that describes it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CALCIFICATION_FEATURES", "FEATURE_NAMES", "MASS_FEATURES", "Feature"]

BETAL = "Betal 1997, Br J Radiol 70:903"
CHAN = "Chan 1998, Med Phys 25:2007"
HARALICK = "Haralick 1973, IEEE Trans SMC 3:610"
KILDAY = "Kilday 1993, IEEE Trans Med Imaging 12:664"
RANGAYYAN = "Rangayyan 1997, IEEE Trans Med Imaging 16:799"


@dataclass(frozen=True, slots=True)
class Feature:
    """One number that is measured."""

    name: str
    unit: str  # "1" where it has none; gray is presented gray, 0 dark to 1 bright
    meaning: str
    source: str


CALCIFICATION_FEATURES: tuple[Feature, ...] = (
    Feature("count", "1", "calcifications, those that clumps must hide included", BETAL),
    Feature("density_per_cm2", "1/cm2", "count by the area of the cluster", BETAL),
    Feature("area_mean_mm2", "mm2", "mean area of a calcification", BETAL),
    Feature("area_max_mm2", "mm2", "largest area", CHAN),
    Feature("diameter_mean_mm", "mm", "mean diameter, each of the disc of the same area", BETAL),
    Feature("diameter_std_mm", "mm", "standard deviation of the diameters", CHAN),
    Feature("perimeter_mean_mm", "mm", "mean length of the outlines", BETAL),
    Feature("circularity_mean", "1", "mean of 4 pi area / perimeter^2: 1 is a disc", BETAL),
    Feature("elongation_mean", "1", "mean of longer by shorter axis of the second moments", CHAN),
    Feature("elongation_std", "1", "standard deviation of the elongations", CHAN),
    Feature("contrast_mean", "gray", "mean of the calcifications' mean gray above the background", CHAN),
    Feature("contrast_std", "gray", "standard deviation of the contrasts", CHAN),
    Feature("nearest_distance_mean_mm", "mm", "mean distance from a centre to the nearest other", BETAL),
    Feature("cluster_area_mm2", "mm2", "area of the convex hull of all calcifications", BETAL),
    Feature("cluster_elongation", "1", "longer by shorter axis of the centres' second moments", BETAL),
)
"""What is measured of the single calcifications and of their cluster."""

MASS_FEATURES: tuple[Feature, ...] = (
    Feature("mass_area_mm2", "mm2", "area of the dense region", KILDAY),
    Feature("mass_perimeter_mm", "mm", "length of its outline", KILDAY),
    Feature("mass_diameter_mm", "mm", "longest distance between two points of the outline", RANGAYYAN),
    Feature("mass_circularity", "1", "4 pi area / perimeter^2", RANGAYYAN),
    Feature("mass_elongation", "1", "longer by shorter side of the smallest enclosing rectangle", RANGAYYAN),
    Feature("mass_rectangularity", "1", "area by that rectangle's", RANGAYYAN),
    Feature("mass_solidity", "1", "area by the convex hull's", RANGAYYAN),
    Feature("mass_radius_mean", "1", "mean distance of the outline from the centre by the largest", KILDAY),
    Feature("mass_radius_std", "1", "standard deviation of these radii", KILDAY),
    Feature("mass_radius_entropy", "bit", "entropy of their histogram", KILDAY),
    Feature("mass_radius_area_ratio", "1", "mean excess of the radii over their mean", KILDAY),
    Feature("mass_radius_crossings", "1", "how often the outline crosses the mean radius", KILDAY),
    Feature("mass_radius_roughness", "1", "mean change of the radius between neighbours", KILDAY),
    Feature("mass_gray_mean", "gray", "mean gray of the region", CHAN),
    Feature("mass_gray_std", "gray", "its standard deviation", CHAN),
    Feature("mass_gray_skewness", "1", "third standardised moment of its gray", CHAN),
    Feature("mass_gray_kurtosis", "1", "fourth, less 3", CHAN),
    Feature("mass_contrast", "gray", "mean gray of the region less that of 2 mm around it", RANGAYYAN),
    Feature("mass_margin_gradient_mean_per_mm", "gray/mm", "mean slope of gray along the outline", RANGAYYAN),
    Feature("mass_margin_gradient_std_per_mm", "gray/mm", "standard deviation of that slope", RANGAYYAN),
    Feature("mass_texture_energy", "1", "co-occurrence: angular second moment, f1", HARALICK),
    Feature("mass_texture_contrast", "1", "co-occurrence: contrast, f2", HARALICK),
    Feature("mass_texture_correlation", "1", "co-occurrence: correlation, f3", HARALICK),
    Feature("mass_texture_variance", "1", "co-occurrence: sum of squares, f4", HARALICK),
    Feature("mass_texture_homogeneity", "1", "co-occurrence: inverse difference moment, f5", HARALICK),
    Feature("mass_texture_entropy", "bit", "co-occurrence: entropy, f9", HARALICK),
)
"""What is measured of the dense region that the calcifications lie in, the calcifications taken out."""

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in (*CALCIFICATION_FEATURES, *MASS_FEATURES))
"""All 41, in the order in which models' rows hold them."""
