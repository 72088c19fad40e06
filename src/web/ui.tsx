/**
 * The pages' foundation, for whoever builds one.
 *
 * A page is a folder here: `<name>/<name>.html` (its first paint: front matter in a comment, then the
 * content of <main>), `<name>/<name>.tsx` (its script) and `<name>/*.css` (its style, if any). The
 * bundler finds it by that; nothing has to be registered. Front matter: `title: …`, `description: …`,
 * and `path: /…` where that is not `/<name>`. The script ends with `mount(<Page />)` of layout.tsx, which
 * renders over the first paint: give both the same boxes, so that nothing moves when data comes.
 *
 * - tokens and classes: style/. Use its variables (`--space-*`, `--ink`, `--card`, `--accent`…); it
 *   carries both themes. `.wide` is the page's measure, `.stack` and `.row` lay out, `.card` is a sheet
 *   of paper with a folded corner, `.display` the large type, `.sr` for screen readers alone, `.num`
 *   figures of equal width.
 * - no inline script, no style attribute in HTML: the policy forbids both. Preact's `style` prop is
 *   allowed (it goes through CSSOM); sizes need their unit, as in `{ width: "4px" }`.
 * - api.ts: `get`, `send` (throw `Problem`), `connection`, `randomWord`, `storage`
 * - problems.ts: `Problem`, `sentenceOf(error)`: what to tell a person
 * - session.ts: `user`, `buyer`, `isAdmin`, `loadUser()` (asks; mount asks only
 *   where an account is remembered), `loggedIn(body)`, `logOut()`, `asBuyer`, `theme`
 * - holding/: what somebody holds, in the bar that every page has: store.ts reserves, buys and gives
 *   back, act.ts does an act once and says what came of it, buttons.tsx has the buttons for it
 * - live.ts: `listen({onSale, onStock, onGap})` and the signal `line`
 * - time.tsx: `setServerTime`, `serverNow`, `tick`, `secondsUntil`, Countdown, Ring, Moment. The
 *   visitor's own clock is never asked.
 * - notice.tsx: `notice(text, tone)`, `await confirm({title, text, yes})`, Dialog
 * - here: Button, LinkButton, Field, Meter, Table, EmptyState, ErrorState, Skeleton, Money, Badge,
 *   Picture, and `load`, which keeps what a question to the server came to in a signal
 *
 * Prices are integers of minor units. Every string that is shown is text, never markup.
 */
import { house } from "./house.ts";
import { batch, type Signal, signal } from "@preact/signals";
import type { ComponentChildren, InputHTMLAttributes, PartialInputHTMLAttributes } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { Answers } from "./answers.ts";
import { connection } from "./api.ts";
import { Problem, sentenceOf } from "./problems.ts";

const prices = new Intl.NumberFormat(house.locale, {
  style: "currency",
  currency: house.currency,
});
const counts = new Intl.NumberFormat(house.locale);
/** @param cents minor units of the shop's currency */
export const money = (cents: number): string => prices.format(cents / 10 ** house.digits);
export const count = (n: number): string => counts.format(n);
export const Money = ({ cents }: { readonly cents: number }) => (
  <span class="num">{money(cents)}</span>
);

type ButtonLook = {
  /** One `strong` button a view at most; `danger` for what cannot be undone. */
  readonly look?: "strong" | "quiet" | "danger";
  readonly small?: boolean;
};
const buttonClass = ({ look = "strong", small = false }: ButtonLook) =>
  `button ${look}${small ? " small" : ""}`;

/** While busy it keeps its size and the focus, and does nothing; a key held down presses it once. */
export function Button({
  busy = false,
  off = false,
  waits = false,
  look,
  small,
  type = "button",
  onClick,
  onOff,
  label,
  class: more = "",
  children,
}: ButtonLook & {
  readonly busy?: boolean;
  /** Cannot be used now; keeps the focus, unlike `disabled`. */
  readonly off?: boolean;
  /** Looks as ever, and does nothing for a moment. */
  readonly waits?: boolean;
  readonly type?: "button" | "submit";
  readonly onClick?: () => void;
  /** Pressed while it cannot be used: to say why. */
  readonly onOff?: () => void;
  /** For screen readers, where the words alone do not say of what; those words are in it. */
  readonly label?: string;
  readonly class?: string;
  readonly children: ComponentChildren;
}) {
  const idle = busy || off || waits;
  return (
    <button
      type={type}
      class={`${buttonClass({ ...(look && { look }), ...(small && { small }) })} ${more}`}
      aria-disabled={idle ? "true" : undefined}
      aria-busy={busy ? "true" : undefined}
      data-waits={waits && !off ? "" : undefined}
      aria-label={label}
      onKeyDown={(event) => {
        if (event.repeat && event.key === "Enter") event.preventDefault();
      }}
      onClick={(event) => {
        if (idle) event.preventDefault();
        if (off) onOff?.();
        else if (!idle) onClick?.();
      }}
    >
      {children}
    </button>
  );
}

export const LinkButton = ({
  href,
  look,
  small,
  children,
}: ButtonLook & { readonly href: string; readonly children: ComponentChildren }) => (
  <a class={buttonClass({ ...(look && { look }), ...(small && { small }) })} href={href}>
    {children}
  </a>
);

type InputProps =
  | "name"
  | "autocomplete"
  | "inputMode"
  | "required"
  | "disabled"
  | "placeholder"
  | "min"
  | "max"
  | "step"
  | "minLength"
  | "maxLength"
  | "spellcheck"
  | "enterkeyhint"
  | "onChange"
  | "onKeyDown";
type FieldProps = Pick<PartialInputHTMLAttributes<HTMLInputElement>, InputProps> & {
  readonly type?: "text" | "search" | "password" | "number" | "datetime-local";
  readonly label: string;
  readonly value: Signal<string>;
  readonly hint?: string | undefined;
  /** What is wrong with the value; said to screen readers with the field. */
  readonly error?: string | null | undefined;
};

/** A labelled input bound to a signal. */
export function Field({ label, value, hint, error, type = "text", ...rest }: FieldProps) {
  const id = useId();
  // The types allow each kind of input other roles; none is given here.
  const kind = { ...rest, type } as InputHTMLAttributes<HTMLInputElement>;
  const said = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...kind}
        id={id}
        value={value.value}
        onInput={(event) => (value.value = event.currentTarget.value)}
        aria-invalid={error ? "true" : undefined}
        aria-describedby={said || undefined}
      />
      {hint !== undefined && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="field-error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

type Stock = {
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly stock: number;
};

/** Sold, reserved and free of a stock: a bar, and the figures in words. Keeps its place without. */
export function Meter({
  of,
  terse = false,
}: {
  readonly of: Stock | null;
  readonly terse?: boolean;
}) {
  const [sold, reserved, stock] = [of?.sold ?? 0, of?.reserved ?? 0, of?.stock ?? 0];
  const share = (units: number) => ({ transform: `scaleX(${stock > 0 ? units / stock : 0})` });
  const figure = (units: number) => (of === null ? "–" : count(units));
  return (
    <div class="meter">
      <div class="meter-bar" aria-hidden="true">
        <i class="reserved" style={share(sold + reserved)} />
        <i class="sold" style={share(sold)} />
      </div>
      <dl class={terse ? "meter-figures terse" : "meter-figures"}>
        <div>
          <dt class="free">Free</dt>
          <dd>{figure(of?.available ?? 0)}</dd>
        </div>
        <div>
          <dt class="reserved">Reserved</dt>
          <dd>{figure(reserved)}</dd>
        </div>
        <div>
          <dt class="sold">Sold</dt>
          <dd>{figure(sold)}</dd>
        </div>
      </dl>
    </div>
  );
}

export type Column<Row> = {
  readonly title: string;
  readonly of: (row: Row) => ComponentChildren;
  /** Figures stand at the right. */
  readonly figures?: boolean;
};

/** On narrow screens each row becomes a card of its own, with the titles beside the values. */
export function Table<Row>({
  caption,
  columns,
  rows,
  keyOf,
}: {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string | number;
}) {
  return (
    <div class="table-box" role="region" aria-label={`Table: ${caption}`} tabIndex={0}>
      <table class="table">
        <caption class="sr">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, figures }) => (
              <th key={title} scope="col" class={figures ? "figures" : undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, of, figures }) => (
                <td key={title} data-title={title} class={figures ? "figures" : undefined}>
                  {of(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** `whole`: stands for the whole page, and its title is the page's. */
const StateTitle = ({
  whole = false,
  text,
}: {
  readonly whole?: boolean;
  readonly text: string;
}) => (whole ? <h1 class="state-title">{text}</h1> : <h2>{text}</h2>);

/** Nothing to show, and what to do about it. `animal` 0–11 picks one of the herd. */
export const EmptyState = ({
  title,
  children,
  animal = 1,
  whole = false,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
  readonly animal?: number;
  readonly whole?: boolean;
}) => (
  <div class="state">
    <img class="state-picture" src={`/herd/${animal}.svg`} width="112" height="112" alt="" />
    <StateTitle whole={whole} text={title} />
    <div class="state-text">{children}</div>
  </div>
);

/** Something went wrong; `again` offers to try once more. */
export const ErrorState = ({
  error,
  again,
  whole = false,
}: {
  readonly error: unknown;
  readonly again?: () => void;
  readonly whole?: boolean;
}) => (
  <div class="state" role="alert">
    <img class="state-picture" src="/herd/5.svg" width="112" height="112" alt="" />
    <StateTitle whole={whole} text="That did not work" />
    <div class="state-text">
      <p>{sentenceOf(error)}</p>
      {again && (
        <Button look="quiet" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  </div>
);

/** A place kept for what is coming. Give it the size of what will stand there. */
export const Skeleton = ({ width = "100%", height = "1em" }) => (
  <span class="skeleton" aria-hidden="true" style={{ width, height }} />
);

export const Badge = ({
  tone = "plain",
  children,
}: {
  readonly tone?: "plain" | "good" | "held" | "bad" | "accent";
  readonly children: ComponentChildren;
}) => <span class={`badge ${tone}`}>{children}</span>;

/** Empty, and no sign of something broken. */
const noPicture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>";

/**
 * An item's picture. Its name stands beside it in every use, so it is left out for screen readers.
 * One that does not come, as while the connection is lost, leaves its place empty until it does.
 */
export function Picture({ src, size }: { readonly src: string; readonly size: number }) {
  const [missing, setMissing] = useState<string | null>(null);
  useEffect(() => {
    const tryAgain = () => setMissing(null);
    const stop = connection.subscribe((state) => state === "ok" && tryAgain());
    addEventListener("online", tryAgain);
    return () => {
      stop();
      removeEventListener("online", tryAgain);
    };
  }, []);
  return (
    <img
      class="picture"
      src={missing === src ? noPicture : src}
      width={size}
      height={size}
      alt=""
      loading="lazy"
      decoding="async"
      onError={() => setMissing(src)}
    />
  );
}

type Loaded<T> =
  | { readonly is: "loading" }
  | { readonly is: "failed"; readonly error: unknown }
  | { readonly is: "here"; readonly value: T };

/**
 * Asks at once. `again()` asks once more and keeps what is shown until the new answer is here, and
 * beyond, where none came: the header says that the connection is lost.
 *
 * @param use told of each answer that is taken, before it is shown
 */
export function load<T>(ask: () => Promise<T>, use: (value: T) => void = () => undefined) {
  const state = signal<Loaded<T>>({ is: "loading" });
  const answers = new Answers();
  const again = async (): Promise<void> => {
    const isTaken = answers.ask();
    try {
      const value = await ask();
      if (!isTaken()) return;
      batch(() => {
        use(value);
        state.value = { is: "here", value };
      });
    } catch (error) {
      const keeps = error instanceof Problem && error.isSilent && state.peek().is === "here";
      if (!keeps && isTaken()) state.value = { is: "failed", error };
    }
  };
  void again();
  return { state, again };
}
