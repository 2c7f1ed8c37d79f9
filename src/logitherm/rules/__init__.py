"""The rules. Importing this enrols every built-in one in the registry."""

from logitherm.rules.base import REGISTRY, Cutoff, Rule, Tempering
from logitherm.rules.budget import RiskBudget
from logitherm.rules.collision import PLess, PLessNorm
from logitherm.rules.constrain import Ban, Bias, MinNewTokens
from logitherm.rules.dynamic import DynamicTemperature, Dynatemp, Edt
from logitherm.rules.entropy_bound import TopH
from logitherm.rules.exclude_top import Xtc
from logitherm.rules.greedy_threshold import GreedyThreshold
from logitherm.rules.logit_gap import MinK, TopNSigma
from logitherm.rules.penalties import Frequency, Presence, Repetition
from logitherm.rules.probability_floor import Epsilon, Eta, TopA
from logitherm.rules.quadratic import Quadratic
from logitherm.rules.rank import TopK, TopP
from logitherm.rules.repeats import NoRepeatNgram
from logitherm.rules.tail_free import Tfs
from logitherm.rules.target import EntropyCap, TargetEntropy
from logitherm.rules.temperature import Temperature
from logitherm.rules.threshold import MinP
from logitherm.rules.typical import Typical

__all__ = [
    "REGISTRY",
    "Ban",
    "Bias",
    "Cutoff",
    "DynamicTemperature",
    "Dynatemp",
    "Edt",
    "EntropyCap",
    "Epsilon",
    "Eta",
    "Frequency",
    "GreedyThreshold",
    "MinK",
    "MinNewTokens",
    "MinP",
    "NoRepeatNgram",
    "PLess",
    "PLessNorm",
    "Presence",
    "Quadratic",
    "Repetition",
    "RiskBudget",
    "Rule",
    "TargetEntropy",
    "Temperature",
    "Tempering",
    "Tfs",
    "TopA",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
    "Typical",
    "Xtc",
]
