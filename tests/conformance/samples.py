"""Makes up a value of a type, as small as the type allows: what a provider might answer."""

import datetime
import enum
import types
import typing

import pydantic
import typing_extensions

# Nested deeper than this, optional parts end.
MAX_DEPTH = 12
SCALARS = {str: "steady", int: 1, float: 0.5, bool: True, bytes: "steady", object: {}, typing.Any: {}, type(None): None}
TIMES = {datetime.datetime: "2026-11-22T10:00:00Z", datetime.date: "2026-11-22"}


class Unmakeable(Exception):
    """No value of the type can be made up."""


def sample(wanted, depth=0):
    """A value that JSON can say and the type accepts."""
    if depth > MAX_DEPTH:
        raise Unmakeable(f"{wanted} is too deep")
    wanted = bare(wanted)
    for known in (SCALARS, TIMES):
        if isinstance(wanted, typing.Hashable) and wanted in known:
            return known[wanted]
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Literal or origin is typing_extensions.Literal:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return first_of(inner, depth)
    if origin in (list, set, frozenset) or (isinstance(origin, type) and issubclass(origin, typing.Iterable) and origin is not dict):
        return [sample(inner[0], depth + 1)] if inner and depth < MAX_DEPTH // 2 else []
    if origin is dict or wanted in (dict, list):
        return [] if wanted is list else {}
    if isinstance(wanted, type) and issubclass(wanted, pydantic.BaseModel):
        return sample_model(wanted, depth)
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return next(iter(wanted)).value
    if isinstance(wanted, type) and typing.is_typeddict(wanted):
        return {name: sample(kind, depth + 1) for name, kind in typing.get_type_hints(wanted).items()}
    if isinstance(wanted, typing.TypeVar):
        return {}
    raise Unmakeable(str(wanted))


def bare(wanted):
    """Without its annotations and aliases."""
    while True:
        if hasattr(wanted, "__value__"):
            wanted = wanted.__value__
        elif typing.get_origin(wanted) in (typing.Annotated, typing.Required, typing.NotRequired):
            wanted = typing.get_args(wanted)[0]
        else:
            return wanted


def first_of(choices, depth):
    """The first choice that can be made up, though not nothing."""
    for choice in choices:
        if bare(choice) is not type(None):
            try:
                return sample(choice, depth + 1)
            except Unmakeable:
                pass
    if type(None) in choices:
        return None
    raise Unmakeable(f"none of {choices}")


def sample_model(model, depth):
    made = {}
    for name, field in model.model_fields.items():
        constant = typing.get_origin(bare(field.annotation)) in (typing.Literal, typing_extensions.Literal)
        if field.is_required() or constant or name in ("data", "type", "object"):
            made[field.alias or name] = sample(field.annotation, depth + 1)
    return made
