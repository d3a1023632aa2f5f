// The two preview streams, asked for only while the page can be seen.

const SIDES = ["before", "after"];

export class Pictures {
  #connected = false;

  constructor() {
    for (const side of SIDES) {
      const image = picture(side);
      image.addEventListener("load", () => { image.hidden = false; });
      image.addEventListener("error", () => { image.hidden = true; });
    }
    document.addEventListener("visibilitychange", () => this.#apply());
  }

  set connected(on) {
    this.#connected = on;
    this.#apply();
  }

  /** Texts over the pictures, before and after; empty shows the picture. */
  veil(texts) {
    SIDES.forEach((side, index) => {
      const veil = document.getElementById(`veil-${side}`);
      if (veil.textContent !== texts[index]) veil.textContent = texts[index];
    });
  }

  #apply() {
    for (const side of SIDES) {
      const image = picture(side);
      const wanted = this.#connected && !document.hidden;
      if (wanted === image.hasAttribute("src")) continue;
      if (wanted) image.src = `/preview/${side}?${Date.now()}`;
      else {
        image.removeAttribute("src");
        image.hidden = true;
      }
    }
  }
}

const picture = (side) => document.getElementById(`picture-${side}`);
