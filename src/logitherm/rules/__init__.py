"""The rules. Importing this enrols every built-in one in the registry."""

from logitherm.rules.adaptive import AdaptiveP
from logitherm.rules.base import REGISTRY, Cutoff, Rule, Tempering
from logitherm.rules.constrain import Allow, Ban, Bias, MinNewTokens
from logitherm.rules.dry import Dry
from logitherm.rules.dynamic import DynamicTemperature, Dynatemp, Edt
from logitherm.rules.entropy_rate import EntropyRate
from logitherm.rules.length import ForcedEos, LengthDecay
from logitherm.rules.mirostat import Mirostat
from logitherm.rules.penalties import Frequency, Presence, Repetition
from logitherm.rules.rank import TopK, TopP
from logitherm.rules.repeats import NoRepeatNgram
from logitherm.rules.sequences import BadWords, SequenceBias
from logitherm.rules.target import EntropyCap, TargetEntropy
from logitherm.rules.temperature import Temperature
from logitherm.rules.threshold import MinP

__all__ = [
    "REGISTRY",
    "AdaptiveP",
    "Allow",
    "BadWords",
    "Ban",
    "Bias",
    "Cutoff",
    "Dry",
    "DynamicTemperature",
    "Dynatemp",
    "Edt",
    "EntropyCap",
    "EntropyRate",
    "ForcedEos",
    "Frequency",
    "LengthDecay",
    "MinNewTokens",
    "MinP",
    "Mirostat",
    "NoRepeatNgram",
    "Presence",
    "Repetition",
    "Rule",
    "SequenceBias",
    "TargetEntropy",
    "Temperature",
    "Tempering",
    "TopK",
    "TopP",
]
