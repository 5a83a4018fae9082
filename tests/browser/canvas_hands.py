"""What a user does on a canvas, and what is seen there."""

PIXELS = """async (element) => {
  if (element.decode) await element.decode();
  const width = element.naturalWidth || element.width, height = element.naturalHeight || element.height;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.drawImage(element, 0, 0);
  return [width, height, Array.from(pen.getImageData(0, 0, width, height).data)];
}"""


def pixels(locator):
    """The pixels of an img or canvas, (h, w, 3)."""
    import torch

    width, height, values = locator.evaluate(PIXELS)
    return torch.tensor(values).reshape(height, width, 4)[..., :3]


def stroke(view, *points: tuple[float, float]) -> None:
    """Drag the mouse over the canvas of a view; points in shares of its width and height."""
    overlay = view.locator(".se-overlay")
    overlay.scroll_into_view_if_needed()
    box, mouse = overlay.bounding_box(), view.page.mouse
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=5)
    mouse.up()


def choose_class(view, name: str) -> None:
    view.get_by_role("radio", name=name).first.click()


class NextPicture:
    """Inside `with`, something is done that makes a new picture; at its end the picture has come."""

    def __init__(self, img):
        self.img = img

    def __enter__(self):
        self.old = self.img.get_attribute("src")

    def __exit__(self, kind, *_):
        if kind is None:
            element = self.img.element_handle()
            self.img.page.wait_for_function(
                "([img, old]) => img.src !== old && img.getAttribute('aria-busy') !== 'true'", arg=[element, self.old]
            )
