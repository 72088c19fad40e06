/** A list that comes in pages, as a table: asked for, shown, gone on with, asked for again. */
import { type Signal, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Answers } from "../answers.ts";
import { sentenceOf } from "../problems.ts";
import { Button, type Column, ErrorState, Skeleton, Table } from "../ui.tsx";

type Page<Row> = {
  readonly rows: readonly Row[];
  readonly next: number | null;
  /** Called when the page is shown, for what stands beside the list. */
  readonly shown?: () => void;
};

type Paged<Row> = {
  /** Null until the first page has come. */
  readonly rows: Signal<readonly Row[] | null>;
  readonly next: Signal<number | null>;
  readonly failure: Signal<unknown>;
  readonly busy: Signal<boolean>;
  /** Of what was changed here; what was asked before does not know of it. */
  readonly change: (edit: (rows: readonly Row[]) => readonly Row[]) => void;
  /** From the start; what is shown stays until the answer is here. */
  readonly again: () => Promise<void>;
  readonly more: () => Promise<void>;
  /** Asks again while only the first page is shown, and nothing is being asked: others change things too. */
  readonly refresh: () => void;
};

const askNothing = (): string => "";

/**
 * @param wanted what is looked for, as a query, in the fields as they are; read when it is asked from the
 * start, so that what is typed since changes neither the pages that follow nor what is asked again
 */
export function paged<Row>(
  ask: (after: number | null, wanted: string) => Promise<Page<Row>>,
  wanted: () => string = askNothing,
): Paged<Row> {
  const rows = signal<readonly Row[] | null>(null);
  const next = signal<number | null>(null);
  const failure = signal<unknown>(null);
  const busy = signal(false);
  const answers = new Answers();
  let pages = 0;
  let looksFor = "";
  const run = async (isMore: boolean): Promise<void> => {
    const isTaken = answers.askAnew();
    busy.value = true;
    try {
      const page = await ask(isMore ? next.peek() : null, looksFor);
      if (!isTaken()) return;
      page.shown?.();
      busy.value = false;
      rows.value = [...(isMore ? (rows.peek() ?? []) : []), ...page.rows];
      next.value = page.next;
      pages = isMore ? pages + 1 : 1;
      failure.value = null;
    } catch (error) {
      if (!isTaken()) return;
      busy.value = false;
      failure.value = error;
    }
  };
  const again = async (): Promise<void> => {
    looksFor = wanted();
    await run(false);
  };
  const change = (edit: (rows: readonly Row[]) => readonly Row[]): void => {
    if (rows.peek() !== null) rows.value = edit(rows.peek() ?? []);
    if (busy.peek()) void run(false);
  };
  const refresh = () => {
    if (pages === 1 && !busy.peek()) void run(false);
  };
  return { rows, next, failure, busy, change, again, more: () => run(true), refresh };
}

const blanks = 6;

export function PagedTable<Row>({
  list,
  caption,
  columns,
  keyOf,
  empty,
  moreWords = "Show more",
}: {
  readonly list: Paged<Row>;
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string | number;
  readonly empty: ComponentChildren;
  readonly moreWords?: string;
}) {
  const { rows, next, failure, busy } = list;
  const listed = rows.value;
  if (listed === null && failure.value !== null)
    return <ErrorState error={failure.value} again={() => void list.again()} />;
  if (listed === null)
    return (
      <div class="blanks" aria-hidden="true">
        {Array.from({ length: blanks }, (_, i) => (
          <Skeleton key={i} height="40px" />
        ))}
      </div>
    );
  return (
    <>
      {listed.length === 0 && next.value === null ? (
        empty
      ) : (
        <Table caption={caption} columns={columns} rows={listed} keyOf={keyOf} />
      )}
      {failure.value !== null && <p role="alert">{sentenceOf(failure.value)}</p>}
      {next.value !== null && (
        <div class="row">
          <Button look="quiet" busy={busy.value} onClick={() => void list.more()}>
            {moreWords}
          </Button>
        </div>
      )}
    </>
  );
}
