"""KFAC: natural gradients from Kronecker factors that are derived from strings."""

from contractconv.training.kfac.fisher import Likelihood
from contractconv.training.kfac.objective import Objective
from contractconv.training.kfac.optimizer import KFAC
from contractconv.training.kfac.sites import Site, sites_of, sites_of_product
from contractconv.training.kfac.training import Step, Training

__all__ = [
    "KFAC",
    "Likelihood",
    "Objective",
    "Site",
    "Step",
    "Training",
    "sites_of",
    "sites_of_product",
]
