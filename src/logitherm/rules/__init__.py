"""The rules. Importing this enrols every built-in one in the registry."""

from logitherm.rules.base import REGISTRY, Cutoff, Rule, Tempering
from logitherm.rules.constrain import Ban, Bias, MinNewTokens
from logitherm.rules.dynamic import DynamicTemperature, Dynatemp, Edt
from logitherm.rules.penalties import Frequency, Presence, Repetition
from logitherm.rules.rank import TopK, TopP
from logitherm.rules.repeats import NoRepeatNgram
from logitherm.rules.target import EntropyCap, TargetEntropy
from logitherm.rules.temperature import Temperature
from logitherm.rules.threshold import MinP

__all__ = [
    "REGISTRY",
    "Ban",
    "Bias",
    "Cutoff",
    "DynamicTemperature",
    "Dynatemp",
    "Edt",
    "EntropyCap",
    "Frequency",
    "MinNewTokens",
    "MinP",
    "NoRepeatNgram",
    "Presence",
    "Repetition",
    "Rule",
    "TargetEntropy",
    "Temperature",
    "Tempering",
    "TopK",
    "TopP",
]
