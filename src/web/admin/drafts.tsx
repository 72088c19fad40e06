/** Sales that are announced to nobody yet: changed, announced, or dropped. */
import { signal } from "@preact/signals";
import { send } from "../api.ts";
import type { FlashSale } from "../shop/data.ts";
import { SaleMoment } from "../time.tsx";
import { Badge, Button, type Column, count, Table } from "../ui.tsx";
import { carryOut } from "./saleacts.tsx";
import { askProducts, SaleForm } from "./saleform.tsx";
import { drafts } from "./salehead.tsx";

const changing = signal<FlashSale | null>(null);

const pathOf = (of: FlashSale): string => `/api/admin/flash-sales/${of.id}`;

const announce = (of: FlashSale) =>
  carryOut({
    title: "Announce this sale?",
    text: (
      <>
        Everybody sees “{of.title}” from now on, and it opens{" "}
        <SaleMoment at={of.starts_at} form="zoned" />, or at once if that has passed. It becomes no
        draft again.
      </>
    ),
    yes: "Announce it",
    no: "Keep it a draft",
    does: () => send("PATCH", pathOf(of), { body: { state: "published" }, again: true }),
    said: `“${of.title}” is announced.`,
  });

const drop = (of: FlashSale) =>
  carryOut({
    title: "Drop this draft?",
    text: `“${of.title}” is gone for good; nobody but administrators has seen it.`,
    yes: "Drop it",
    no: "Keep it",
    danger: true,
    does: () => send("DELETE", pathOf(of)),
    said: `“${of.title}” is dropped.`,
  });

function Acts({ of, done }: { readonly of: FlashSale; readonly done: () => Promise<void> }) {
  const act = async (does: (one: FlashSale) => Promise<unknown>): Promise<void> => {
    await does(of);
    await done();
  };
  const change = async (): Promise<void> => {
    await askProducts();
    changing.value = of;
  };
  return (
    <span class="cell-acts">
      <Button
        look="quiet"
        small
        label={`Change ${of.title}`}
        onClick={() => void change().catch(() => undefined)}
      >
        Change
      </Button>
      <Button look="quiet" small label={`Announce ${of.title}`} onClick={() => void act(announce)}>
        Announce
      </Button>
      <Button look="quiet" small label={`Drop ${of.title}`} onClick={() => void act(drop)}>
        Drop
      </Button>
    </span>
  );
}

const columns = (done: () => Promise<void>): readonly Column<FlashSale>[] => [
  {
    title: "Draft",
    of: ({ title }) => (
      <span class="cell-end">
        <strong class="cell-break">{title}</strong> <Badge>Draft</Badge>
      </span>
    ),
  },
  { title: "Would open", of: (row) => <SaleMoment at={row.starts_at} form="zoned" /> },
  { title: "Products", of: (row) => count(row.items.length), figures: true },
  { title: "Units", of: (row) => count(row.stock), figures: true },
  { title: "Actions", of: (row) => <Acts of={row} done={done} />, figures: true },
];

export function Drafts({ done }: { readonly done: () => Promise<void> }) {
  const list = drafts.value;
  const of = changing.value;
  return (
    <>
      {list.length > 0 && (
        <Table
          caption="Drafts, which administrators alone see"
          columns={columns(done)}
          rows={list}
          keyOf={(row) => row.id}
        />
      )}
      {of !== null && <SaleForm of={of} done={done} close={() => (changing.value = null)} />}
    </>
  );
}
