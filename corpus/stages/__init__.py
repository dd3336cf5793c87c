"""Every step a recipe can name, in one table."""

from __future__ import annotations

from typing import Any

from corpus.stages.boilerplate import Boilerplate
from corpus.stages.bucket import Bucket
from corpus.stages.decontaminate import Decontaminate
from corpus.stages.exact import Exact, Fingerprint
from corpus.stages.gate import Gate
from corpus.stages.language import Language
from corpus.stages.lines import Lines
from corpus.stages.near import MinHash, Near
from corpus.stages.normalise import Normalise
from corpus.stages.perplexity import Perplexity
from corpus.stages.private import Private
from corpus.stages.quality import Quality
from corpus.stages.repeated_lines import LineKeys, RepeatedLines
from corpus.stages.repetition import Repetition
from corpus.stages.segmented import Segmented
from corpus.stages.sensitive import Sensitive
from corpus.stages.sensitive.judge import SensitiveJudge
from corpus.stages.shape import Shape
from corpus.stages.simplify import Simplify
from corpus.stages.unfinished import Unfinished
from corpus.stages.words import Words

STAGES: dict[str, type[Any]] = {
    stage.name: stage
    for stage in (
        Normalise,
        Boilerplate,
        Unfinished,
        Private,
        Shape,
        Language,
        Repetition,
        Lines,
        Words,
        Segmented,
        Gate,
        Simplify,
        Fingerprint,
        Exact,
        MinHash,
        Near,
        LineKeys,
        RepeatedLines,
        Decontaminate,
        Perplexity,
        Quality,
        Bucket,
        Sensitive,
        SensitiveJudge,
    )
}
