"""What is wrong with the settings: the app's, the page's, Partner Center's, each destination's; and what nothing reads.

`check`, health and the alert about settings all say what stands here, so they never disagree.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leads import enabled, operators
from leads.reader import Problem, Reader, Setting, instance_name
from leads.settings import SETTINGS, Settings

FOREIGN = frozenset({"HTTPS_PROXY"})
"""Names that begin like ours and belong to others."""


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong."""

    problems: tuple[Problem, ...]
    """What keeps leads from being taken or delivered as they should."""
    warnings: tuple[Problem, ...]
    """What has a harmless default in its place."""
    broken: frozenset[str]
    """The destinations that cannot deliver."""


def find(settings: Settings, environ: Mapping[str, str], destinations: Sequence[str]) -> Problems:
    """Everything that is wrong, each once, with what is set for `destinations`."""
    problems = {str(problem): problem for problem in settings.problems}
    warnings: dict[str, Problem] = {}
    broken: set[str] = set()
    for name in dict.fromkeys([*destinations, *settings.alerts]):
        setting = "LEADS_DESTINATIONS" if name in destinations else "LEADS_ALERTS"
        found = _of_destination(name, environ, setting)
        problems |= {str(problem): problem for problem in found.problems}
        warnings |= {str(problem): problem for problem in found.warnings}
        broken |= found.broken
    routed = _of_routes(settings, destinations)
    problems |= {str(problem): problem for problem in routed.problems}
    warnings |= {str(problem): problem for problem in routed.warnings}
    problems |= {str(problem): problem for problem in _of_partner_center(environ)}
    problems |= {str(problem): problem for problem in operators.read(environ).problems}
    problems |= {str(problem): problem for problem in _unread(environ, [*destinations, *settings.alerts])}
    mild = (problem for text, problem in warnings.items() if text not in problems)
    return Problems(tuple(problems.values()), tuple(mild), frozenset(broken))


def of_app() -> tuple[Setting, ...]:
    """The settings that belong to no destination."""
    from leads import marks
    from leads.messages import languages

    return (*SETTINGS, *marks.SETTINGS, *languages.SETTINGS)


def _of_routes(settings: Settings, destinations: Sequence[str]) -> Problems:
    from leads import routes

    if any(problem.setting == routes.SETTING for problem in settings.problems):
        return Problems((), (), frozenset())  # There is no text of routes yet.
    made = routes.parse(settings.routes, destinations)
    customers = [name for name in destinations if enabled.split(name)[0] in enabled.CUSTOMERS]
    mild = routes.warnings(made, destinations, customers) if settings.routes and not made.problems else ()
    return Problems(made.problems, tuple(mild), frozenset())


def of_partner_center() -> tuple[Setting, ...]:
    """The settings for looking at Partner Center, and for what comes of it."""
    from leads import offers, partner_center

    return (*partner_center.SETTINGS, *offers.SETTINGS)


def _of_partner_center(environ: Mapping[str, str]) -> tuple[Problem, ...]:
    from leads import offers, partner_center

    reader = Reader(environ, of_partner_center())
    partner_center.Settings.read(reader)
    offers.read_publisher(reader)
    return tuple(reader.problems)


def _of_destination(name: str, environ: Mapping[str, str], setting: str) -> Problems:
    try:
        place = enabled.read(name, environ)
    except KeyError:
        near = difflib.get_close_matches(enabled.split(name)[0], enabled.names(), 1)
        meant = f"Did you mean `{near[0]}`? " if near else ""
        there = f"There are {', '.join(enabled.names())}."
        problem = Problem(setting, f"There is no destination {name!r}.", f"{meant}{there}")
        return Problems((problem,), (), frozenset({name}))
    except ImportError as error:
        cause = f"{name} needs the package {error.name or 'that is missing'}, which cannot be loaded."
        problem = Problem(setting, cause, "Deploy the app again as docs/deploy.md says.")
        return Problems((problem,), (), frozenset({name}))
    except Exception as error:  # noqa: BLE001 - one destination's bug must not hide what is wrong with the others
        cause = f"The settings of {name} could not be read ({type(error).__name__})."
        problem = Problem(
            setting, cause, "It is a bug: report it with the name of the error, or take the destination out until then."
        )
        return Problems((problem,), (), frozenset({name}))
    return Problems(place.problems, place.warnings, frozenset({name} if place.problems else ()))


def _unread(environ: Mapping[str, str], names: Iterable[str]) -> Iterable[Problem]:
    """Names that begin with one of our prefixes and that nothing reads: mostly typing errors."""
    known = {setting.name for setting in (*of_app(), *of_partner_center(), *operators.SETTINGS)}
    prefixes = {"LEADS_", "PARTNER_CENTER_", f"{operators.PREFIX}_"}
    for name in names:
        kind, instance = enabled.split(name)
        prefixes.add(f"{kind.upper()}_")
        try:
            declared = enabled.load(name).SETTINGS
        except Exception:  # noqa: BLE001, S112 - what is wrong with it is said by itself
            continue
        known |= {setting.name for setting in declared}
        known |= {instance_name(setting.name, kind, instance) for setting in declared}
    for name in sorted(environ):
        # A name in small letters is another one on Linux, and a likely slip.
        upper = name.upper()
        if name in known or upper in FOREIGN or not upper.startswith(tuple(prefixes)) or not environ[name].strip():
            continue
        near = difflib.get_close_matches(upper, known, 1)
        remedy = f"Did you mean `{near[0]}`?" if near else "See docs/settings.md for what there is."
        yield Problem(name, "Nothing reads this setting.", remedy)
