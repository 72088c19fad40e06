/**
 * A curve over time, drawn by uPlot in the colours of the theme. The figures that matter stand beside
 * it in words: to screen readers it is one picture with a sentence. What uPlot needs of style is in
 * admin.css; itself it is as large as half of the page, which does not wait for it.
 */
import { type ReadonlySignal, effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { theme } from "../session.ts";

const height = 220;
/** The least that is shown: a curve that has just begun grows from the right. */
const windowSeconds = 120;

/** Between the lines of the scale: what is counted has no fractions. */
const wholeSteps = Array.from({ length: 8 }, (_, i) => 10 ** i).flatMap((n) =>
  n === 1 ? [1, 2, 5] : [n, 2 * n, 2.5 * n, 5 * n],
);

type Curve = {
  /** A token of base.css. */
  readonly colour: `--${string}`;
  readonly isFilled?: boolean;
  readonly isDashed?: boolean;
};

/** A canvas knows nothing of tokens: what one comes to is read off an element. */
function inkOf(token: string, share = 100): string {
  const probe = document.createElement("span");
  probe.style.color = `color-mix(in srgb, var(${token}) ${share}%, transparent)`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function optionsOf(
  curves: readonly Curve[],
  unit: (value: number) => string,
  max: number | null,
  width: number,
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: inkOf("--soft"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: inkOf("--edge"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [10, 8, 0, 0],
    scales: {
      // By the data: of a single point uPlot makes a range of years.
      x: {
        time: true,
        range: ({ data: [times] }) => {
          const last = times.at(-1) ?? Date.now() / 1000;
          return [Math.min(times[0] ?? last, last - windowSeconds), last];
        },
      },
      // Never without height, or a flat line would have no place.
      y: { range: (_, __, top) => [0, max ?? Math.max(1, top * 1.1)] },
    },
    axes: [
      { ...axis, space: 80, grid: { show: false } },
      { ...axis, size: 56, space: 36, incrs: wholeSteps, values: (_, splits) => splits.map(unit) },
    ],
    series: [
      {},
      ...curves.map(({ colour, isFilled = false, isDashed = false }) => ({
        stroke: inkOf(colour),
        width: 2,
        points: { show: false },
        ...(isFilled && { fill: inkOf(colour, 18) }),
        ...(isDashed && { dash: [6, 4] }),
      })),
    ],
  };
}

export function Chart({
  label,
  curves,
  data,
  unit,
  max = null,
}: {
  /** What is to be seen, in a sentence. */
  readonly label: string;
  readonly curves: readonly Curve[];
  readonly data: ReadonlySignal<uPlot.AlignedData>;
  readonly unit: (value: number) => string;
  /** The top of the scale; without it, it follows the values. */
  readonly max?: number | null;
}) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = place.current;
    if (box === null) return undefined;
    let isGone = false;
    let stop = (): void => undefined;
    const draw = async (): Promise<void> => {
      const { default: Plot } = await import("uplot");
      if (isGone) return;
      let plot: uPlot | null = null;
      const stopDrawing = effect(() => {
        void theme.value;
        plot?.destroy();
        plot = new Plot(optionsOf(curves, unit, max, box.clientWidth), data.peek(), box);
      });
      const stopFilling = effect(() => plot?.setData(data.value));
      const resized = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height }));
      resized.observe(box);
      stop = () => {
        resized.disconnect();
        stopDrawing();
        stopFilling();
        plot?.destroy();
      };
    };
    void draw();
    return () => {
      isGone = true;
      stop();
    };
    // Curves and scale of a chart do not change.
  }, [data]);
  return <div ref={place} class="chart" role="img" aria-label={label} />;
}

/** What a curve's colour stands for, on one line with it. */
export const Key = ({
  of,
  words,
}: {
  readonly of: "accent" | "free" | "held" | "soft";
  readonly words: string;
}) => (
  <span class="key-words">
    <i class={`key ${of}`} /> {words}
  </span>
);
