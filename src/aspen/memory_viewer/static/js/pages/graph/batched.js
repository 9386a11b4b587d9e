// Programs of sigma that draw all of their items in one go, in place of one instance each: where the processor stands
// in for a graphics card, each instance costs as much as a drawing of its own (SwiftShader), and a graph of 2,000
// memories moves at 5 frames a second. What is constant for a corner is written beside each item instead, once for each
// corner.

/** The same program without instances. */
export function batched(Program) {
  const { CONSTANT_ATTRIBUTES, CONSTANT_DATA, ATTRIBUTES, ...rest } = Program.prototype.getDefinition();
  return class extends Program {
    getDefinition() {
      return { ...rest, ATTRIBUTES: [...ATTRIBUTES, ...CONSTANT_ATTRIBUTES] };
    }

    processVisibleItem(index, start, ...shown) {
      super.processVisibleItem(index, start, ...shown);
      const width = this.ATTRIBUTES_ITEMS_COUNT;
      const own = width - CONSTANT_DATA[0].length;
      CONSTANT_DATA.forEach((corner, at) => {
        const place = start + at * width;
        if (at) this.array.copyWithin(place, start, start + own);
        this.array.set(corner, place + own);
      });
    }
  };
}
