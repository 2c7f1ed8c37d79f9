"""The rules. Importing this enrols every built-in one in the registry."""

from logitherm.rules.adaptive import AdaptiveP
from logitherm.rules.base import REGISTRY, Cutoff, Rule, Tempering
from logitherm.rules.budget import DistortionBudget, RiskBudget
from logitherm.rules.collision import PLess, PLessNorm
from logitherm.rules.conformal import Conformal
from logitherm.rules.constrain import Allow, Ban, Bias, MinNewTokens
from logitherm.rules.dry import Dry
from logitherm.rules.dynamic import DynamicTemperature, Dynatemp, Edt
from logitherm.rules.entropy_bound import TopH
from logitherm.rules.entropy_rate import EntropyRate
from logitherm.rules.exclude_top import Xtc
from logitherm.rules.grammar import Grammar
from logitherm.rules.greedy_threshold import GreedyThreshold
from logitherm.rules.length import ForcedEos, LengthDecay
from logitherm.rules.logit_gap import MinK, TopNSigma
from logitherm.rules.masked import Masked, Matcher
from logitherm.rules.mirostat import Mirostat
from logitherm.rules.penalties import Frequency, Presence, Repetition
from logitherm.rules.probability_floor import Epsilon, Eta, TopA
from logitherm.rules.quadratic import Quadratic
from logitherm.rules.rank import TopK, TopP
from logitherm.rules.repeats import NoRepeatNgram
from logitherm.rules.sequences import BadWords, SequenceBias
from logitherm.rules.tail_free import Tfs
from logitherm.rules.target import EntropyCap, TargetEntropy
from logitherm.rules.temperature import Temperature
from logitherm.rules.threshold import MinP
from logitherm.rules.typical import Typical

__all__ = [
    "REGISTRY",
    "AdaptiveP",
    "Allow",
    "BadWords",
    "Ban",
    "Bias",
    "Conformal",
    "Cutoff",
    "DistortionBudget",
    "Dry",
    "DynamicTemperature",
    "Dynatemp",
    "Edt",
    "EntropyCap",
    "EntropyRate",
    "Epsilon",
    "Eta",
    "ForcedEos",
    "Frequency",
    "Grammar",
    "GreedyThreshold",
    "LengthDecay",
    "Masked",
    "Matcher",
    "MinK",
    "MinNewTokens",
    "MinP",
    "Mirostat",
    "NoRepeatNgram",
    "PLess",
    "PLessNorm",
    "Presence",
    "Quadratic",
    "Repetition",
    "RiskBudget",
    "Rule",
    "SequenceBias",
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
