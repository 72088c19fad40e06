/** The disk of the records: what is said of it, and when. */
import { expect, test } from "bun:test";
import { DiskWatch } from "../../src/engine/disk-watch.ts";
import { diskReserveBytes } from "../../src/disk.ts";

function watched(folder: string | null) {
  const state = { free: 5e9, at: 0, asked: 0 };
  const said: string[] = [];
  const watch = new DiskWatch({
    folder,
    log: {
      info: (_, text) => said.push(`info ${text}`),
      warn: (_, text) => said.push(`warn ${text}`),
      error: (_, text) => said.push(`error ${text}`),
    },
    free: () => {
      state.asked += 1;
      return state.free;
    },
    now: () => state.at,
  });
  /** A moment later, with so much free. */
  const look = (free: number): void => {
    Object.assign(state, { free, at: state.at + 5_000 });
    watch.look();
  };
  return { watch, state, said, look };
}

test("there is one warning when the reserve is used, and a word when there is room again", () => {
  const { watch, said, look } = watched("/srv");
  look(diskReserveBytes);
  expect({ said, warning: watch.warning }).toEqual({ said: [], warning: null });
  look(diskReserveBytes - 1);
  look(3e8);
  const warning =
    "The disk of the records has 0.3 GB left, and 1.0 GB are to be: when it is full, nothing is sold.";
  expect(watch.warning).toBe(warning);
  expect(said).toHaveLength(1);
  expect(said[0]).toStartWith("warn The disk of the records has 1.0 GB left");
  look(4e9);
  look(4e9);
  expect(said.slice(1)).toEqual(["info the disk has room again"]);
});

test("a disk is asked once a second at most, and one of somebody else's never", () => {
  const { watch, state } = watched("/srv");
  expect([watch.freeBytes, watch.freeBytes, watch.warning]).toEqual([5e9, 5e9, null]);
  expect(state.asked).toBe(1);
  state.at = 1_000;
  expect([watch.freeBytes, state.asked]).toEqual([5e9, 2]);
  const elsewhere = watched(null);
  elsewhere.watch.start();
  expect([elsewhere.watch.freeBytes, elsewhere.watch.warning]).toEqual([null, null]);
  expect(elsewhere.state.asked).toBe(0);
});
