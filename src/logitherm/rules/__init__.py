"""The rules. Importing this enrols every built-in one in the registry."""

from logitherm.rules.base import REGISTRY, Cutoff, Rule, Tempering
from logitherm.rules.dynamic import DynamicTemperature
from logitherm.rules.rank import TopK, TopP
from logitherm.rules.temperature import Temperature
from logitherm.rules.threshold import MinP

__all__ = [
    "REGISTRY",
    "Cutoff",
    "DynamicTemperature",
    "MinP",
    "Rule",
    "Temperature",
    "Tempering",
    "TopK",
    "TopP",
]
