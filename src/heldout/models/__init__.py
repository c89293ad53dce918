"""Perfect access to language models: load, read (trace), write (intervene)."""

from heldout.models.architectures import ARCHITECTURES, Architecture
from heldout.models.batching import batch_size, batches, batches_by_length
from heldout.models.checkpoints import Checkpoint, CheckpointSuite, CheckpointWriter, log_spaced_steps, measure_along
from heldout.models.encoders import encoder_model
from heldout.models.intervene import Add, Edit, MeanAblate, Project, Resample, Set, Swap, ZeroAblate
from heldout.models.loading import as_model, load
from heldout.models.metrics import LogitsFunction, Metric, TokenLogits
from heldout.models.model import Meter, Model
from heldout.models.packaged import minilm_folder
from heldout.models.research_weights import load_research_weights
from heldout.models.self_check import AccessReport, check_access
from heldout.models.sentence_encoders import embedded, sentence_vectors
from heldout.models.sites import SITE_SHAPES, Site
from heldout.models.sublayers import Sublayer, Sublayers
from heldout.models.sweep import SweepPlan, SweepValues, plan_sweep, sweep
from heldout.models.tokens import Tokens
from heldout.models.trace import Trace

__all__ = [
    "ARCHITECTURES",
    "SITE_SHAPES",
    "AccessReport",
    "Add",
    "Architecture",
    "Checkpoint",
    "CheckpointSuite",
    "CheckpointWriter",
    "Edit",
    "LogitsFunction",
    "MeanAblate",
    "Meter",
    "Metric",
    "Model",
    "Project",
    "Resample",
    "Set",
    "Site",
    "Sublayer",
    "Sublayers",
    "Swap",
    "SweepPlan",
    "SweepValues",
    "TokenLogits",
    "Tokens",
    "Trace",
    "ZeroAblate",
    "as_model",
    "batch_size",
    "batches",
    "batches_by_length",
    "check_access",
    "embedded",
    "encoder_model",
    "load",
    "load_research_weights",
    "log_spaced_steps",
    "measure_along",
    "minilm_folder",
    "plan_sweep",
    "sentence_vectors",
    "sweep",
]
