// Mouse, pen and fingers on the canvas. The first pointer paints; a second finger ends that and moves the view.

const TOGETHER = 250; // milliseconds in which a second finger belongs to the first

const placeOf = (event) => [event.clientX, event.clientY];

/** `to` gets begin(event), move(event), end(), cancel(), hover(event), leave(), pick(event), view(zoom, centre, shift),
 *  takesWheel(down). */
function followPointers(element, to) {
  const down = new Map(); // pointer id: its last event
  let painting = null; // the id of the pointer that paints
  let begun = 0; // when it came down, in milliseconds
  let gesture = null; // two fingers: how far apart they are, and their middle
  let held = null; // where the middle button holds the view, on the page

  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling by it
  element.addEventListener("pointerdown", (event) => {
    if (event.button === 2 || (event.button === 0 && event.altKey)) return to.pick(event);
    if (event.button > 1) return;
    element.setPointerCapture(event.pointerId);
    if (event.button === 1) {
      held = placeOf(event);
      return;
    }
    down.set(event.pointerId, event);
    if (down.size === 1) {
      [painting, begun] = [event.pointerId, event.timeStamp];
      to.begin(event);
    } else if (down.size === 2 && event.timeStamp - begun < TOGETHER) {
      painting = null; // two fingers that come down together move the view; a palm that comes later does nothing
      to.cancel();
      gesture = spread();
    }
  });

  element.addEventListener("pointermove", (event) => {
    if (down.has(event.pointerId)) down.set(event.pointerId, event);
    if (gesture && down.size === 2) return moveView();
    if (held) return dragView(event);
    if (event.pointerId === painting) return to.move(event.getCoalescedEvents?.() ?? [], event);
    if (painting === null && !gesture) to.hover(event);
  });

  element.addEventListener("pointerup", (event) => lift(event, to.end));
  element.addEventListener("pointercancel", (event) => lift(event, to.cancel));
  element.addEventListener("pointerleave", () => {
    if (painting === null) to.leave();
  });
  element.addEventListener("wheel", wheel, { passive: false });

  function wheel(event) {
    if (!event.ctrlKey && !to.takesWheel(event.deltaY)) return; // the page scrolls
    event.preventDefault();
    to.view(Math.exp(-event.deltaY / 400), placeOf(event), [-event.deltaX, 0]);
  }

  function lift(event, finish) {
    held = null;
    down.delete(event.pointerId);
    if (!down.size) gesture = null;
    if (event.pointerId !== painting) return;
    painting = null;
    finish();
  }

  function spread() {
    const [a, b] = [...down.values()].map(placeOf);
    return { far: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1, middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }

  function dragView(event) {
    const now = placeOf(event);
    to.view(1, now, now.map((c, i) => c - held[i]));
    held = now;
  }

  function moveView() {
    const now = spread();
    const shift = now.middle.map((c, i) => c - gesture.middle[i]);
    to.view(now.far / gesture.far, now.middle, shift);
    gesture = now;
  }
}
