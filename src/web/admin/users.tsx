/** The accounts: who may administer, and who may not log in. */
import { signal } from "@preact/signals";
import { get, send } from "../api.ts";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { user } from "../session.ts";
import { Moment } from "../time.tsx";
import { Badge, Button, type Column, EmptyState, Field } from "../ui.tsx";
import { paged, PagedTable } from "./paged.tsx";

type Account = {
  readonly id: number;
  readonly username: string;
  readonly role: "user" | "admin";
  readonly disabled: boolean;
  readonly created_at: string;
};
type AccountPage = { readonly users: readonly Account[]; readonly next_after: number | null };

const perPage = 50;
const search = signal("");
const working = signal<number | null>(null);

const list = paged<Account>(async (after) => {
  const q = search.peek().trim();
  const wanted = q === "" ? "" : `&q=${encodeURIComponent(q)}`;
  const page = await get<AccountPage>(
    `/api/admin/users?limit=${perPage}&after=${after ?? 0}${wanted}`,
  );
  return { rows: page.users, next: page.next_after };
});

async function change(of: Account, body: Partial<Account>, done: string): Promise<void> {
  working.value = of.id;
  try {
    const changed = await send<Account>("PATCH", `/api/admin/users/${of.id}`, {
      body,
      again: true,
    });
    list.rows.value =
      list.rows.peek()?.map((row) => (row.id === changed.id ? changed : row)) ?? null;
    notice(done, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  } finally {
    working.value = null;
  }
}

async function changeRole(of: Account): Promise<void> {
  const isRise = of.role === "user";
  const name = of.username;
  const sure = await confirm({
    title: isRise ? "Make an administrator?" : "Take the role away?",
    text: isRise
      ? `${name} may then change products, sales and users, and read every record.`
      : `${name} can then only buy, like everybody else.`,
    yes: isRise ? "Make administrator" : "Make user",
    danger: !isRise,
  });
  const done = isRise ? `${name} is an administrator now.` : `${name} is a user now.`;
  if (sure) await change(of, { role: isRise ? "admin" : "user" }, done);
}

async function changeDisabled(of: Account): Promise<void> {
  const name = of.username;
  if (of.disabled) return await change(of, { disabled: false }, `${name} may log in again.`);
  const sure = await confirm({
    title: "Disable this account?",
    text: `${name} is logged out at once and cannot log in. What ${name} has bought stays.`,
    yes: "Disable it",
    danger: true,
  });
  if (sure) await change(of, { disabled: true }, `${name} is disabled.`);
}

function Acts({ of }: { readonly of: Account }) {
  // The server refuses it as well.
  if (of.id === user.value?.id) return <span class="soft">This is you</span>;
  const off = working.value !== null;
  return (
    <span class="cell-acts">
      <Button
        look="quiet"
        small
        off={off}
        label={`${of.role === "admin" ? "Make user" : "Make admin"}: ${of.username}`}
        onClick={() => void changeRole(of)}
      >
        {of.role === "admin" ? "Make user" : "Make admin"}
      </Button>
      <Button
        look="quiet"
        small
        off={off}
        label={`${of.disabled ? "Enable" : "Disable"} ${of.username}`}
        onClick={() => void changeDisabled(of)}
      >
        {of.disabled ? "Enable" : "Disable"}
      </Button>
    </span>
  );
}

const columns: readonly Column<Account>[] = [
  { title: "Name", of: (row) => <strong>{row.username}</strong> },
  {
    title: "Role",
    of: (row) => (row.role === "admin" ? <Badge tone="accent">Admin</Badge> : <Badge>User</Badge>),
  },
  {
    title: "State",
    of: (row) =>
      row.disabled ? <Badge tone="bad">Disabled</Badge> : <Badge tone="good">Active</Badge>,
  },
  { title: "Since", of: (row) => <Moment at={row.created_at} zoned /> },
  { title: "Actions", of: (row) => <Acts of={row} />, figures: true },
];

export const refreshUsers = list.refresh;
export const openUsers = (): void => void list.again();

export const Users = () => (
  <section class="stack" aria-label="Users">
    <form
      class="toolbar-find"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        void list.again();
      }}
    >
      <Field label="Find a user" type="search" value={search} maxLength={64} />
      <Button look="quiet" type="submit">
        Find
      </Button>
    </form>
    <PagedTable
      list={list}
      caption="Users"
      columns={columns}
      keyOf={(row) => row.id}
      empty={
        <EmptyState title="Nobody of that name" animal={3}>
          <p>Try a shorter part of it.</p>
        </EmptyState>
      }
    />
  </section>
);
