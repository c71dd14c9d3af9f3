"""The gradient studies by name. A new one is a module here that makes its `Study`, and its line in `STUDIES`."""

from npgan.study.studies.bilinear import BILINEAR, BilinearStudy, bilinear
from npgan.study.studies.dirac import DIRAC, DiracStudy, dirac
from npgan.study.studies.field import FIELD, FieldStudy, field
from npgan.study.studies.folder import Written, carry_out
from npgan.study.studies.landscape import LANDSCAPE, LandscapeStudy, landscape
from npgan.study.studies.modes import MODES, ModesStudy, modes
from npgan.study.studies.presets import PRESETS
from npgan.study.studies.saturation import SATURATION, SaturationStudy, saturation
from npgan.study.studies.spectrum import SPECTRUM, SpectrumStudy, spectrum
from npgan.study.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study for study in (DIRAC, BILINEAR, SATURATION, FIELD, SPECTRUM, MODES, LANDSCAPE)
}

__all__ = [
    "PRESETS",
    "STUDIES",
    "BilinearStudy",
    "DiracStudy",
    "FieldStudy",
    "LandscapeStudy",
    "ModesStudy",
    "SaturationStudy",
    "SpectrumStudy",
    "Study",
    "Written",
    "bilinear",
    "carry_out",
    "dirac",
    "field",
    "landscape",
    "modes",
    "saturation",
    "spectrum",
]
