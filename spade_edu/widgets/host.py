"""From a core to a widget: a state that flows to every view, and requests that views send back.

A core is plain Python and knows no browser. `Tool` shows it in a notebook (anywidget), `page.serve` on a page of its
own; both send `core.state()` to the browser and hand each request from there to `core.answer`.
"""

import base64
from pathlib import Path
from typing import Any, Generic, TypeGuard, TypeVar

import anywidget
import traitlets
from PIL import Image

from ..errors import UserError
from ..pictures import png_bytes

FOLDER = Path(__file__).parent


class Core:
    """What a tool knows and does. `actions` are the methods that a browser may call, as method(request, buffers)."""

    actions: tuple[str, ...] = ()

    def state(self) -> dict:
        """Everything that a view shows: numbers, strings, lists, dicts, and bytes (maps, PNG files)."""
        raise NotImplementedError

    def still(self) -> Image.Image:
        """The tool as a picture, for pages that can't run widgets."""
        raise NotImplementedError

    def answer(self, request: dict, buffers: list) -> str:
        """Carry out a request from the browser; gives "", or one line that says what was wrong with it."""
        action = request.get("do")
        if action not in self.actions:
            return f"There is no action {action!r:.40}; there are: {', '.join(self.actions)}."
        try:
            getattr(self, action)(request, buffers)
        except UserError as error:
            return str(error)
        except Exception as error:  # out of memory, a defect: a line in the widget instead of one in a hidden log
            return f"Python could not do {action!r}: {type(error).__name__}: {error}"
        return ""


CoreType = TypeVar("CoreType", bound=Core)


class Tool(anywidget.AnyWidget, Generic[CoreType]):
    """A core in a notebook: any number of views in step, a still picture where widgets can't be shown.

    Each request is first answered with "heard", so that a view can tell a kernel at work from one that is gone.
    """

    state = traitlets.Dict().tag(sync=True)
    _css = (FOLDER / "widgets.css").read_text(encoding="utf-8")
    _ipython_display_ = None  # ipywidgets 7, which Colab has, would show itself through it, without the still picture

    def __init__(self, core: CoreType):
        super().__init__(state=core.state())
        self.core = core
        self.on_msg(self._receive)

    def refresh(self) -> None:
        """Show every view the core's present state."""
        self.state = self.core.state()

    def still(self) -> Image.Image:
        """The tool as a picture."""
        return self.core.still()

    def _receive(self, _widget: object, request: object, buffers: list) -> None:
        if not isinstance(request, dict):
            return  # nothing that a view of ours sends
        self.send({"heard": request.get("id")})
        if request.get("do") == "ping":
            return
        error = self.core.answer(request, buffers)
        self.refresh()
        self.send({"answer": request.get("id"), "error": error})

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | {"image/png": base64.b64encode(png_bytes(self.still())).decode()}, metadata

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.core})"


def script(*names: str) -> str:
    """One ES module made of files of this folder, in order: anywidget takes a single one."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def short_text(request: dict, name: str, most: int = 40) -> str:
    """The text `name` of a request, cut to `most` characters, without halves of characters that no file can hold."""
    return str(request.get(name, "")).strip()[:most].encode("utf-8", "replace").decode()


def whole_number(request: dict, name: str, low: int, high: int) -> int:
    """The whole number `name` of a request, low <= number <= high. Errors: a UserError where it is anything else."""
    value = request.get(name)
    if type(value) is not int or not low <= value <= high:
        raise UserError(f"{name}: expected a whole number from {low} to {high}, got {str(value)[:40]!r}.")
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a request is an int or a float (a bool is neither)."""
    return type(value) in (int, float)


def fraction(request: dict, name: str) -> float:
    """The number `name` of a request, 0 to 1. Errors: a UserError where it is anything else."""
    value = request.get(name)
    if not is_number(value) or not 0 <= value <= 1:
        raise UserError(f"{name}: expected a number from 0 to 1, got {str(value)[:40]!r}.")
    return float(value)
