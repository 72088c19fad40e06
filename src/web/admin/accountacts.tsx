/** What an administrator does with an account: its role, whether it may log in, its second factor. */
import { signal } from "@preact/signals";
import { send } from "../api.ts";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { user } from "../session.ts";
import { Badge, Button, type Column } from "../ui.tsx";

export type Account = {
  readonly id: number;
  readonly username: string;
  readonly role: "user" | "admin";
  readonly disabled: boolean;
  readonly second_factor: boolean;
  readonly created_at: string;
};
const working = signal<number | null>(null);

/** Told of an account as it is now. */
type Told = (account: Account) => void;

async function change(
  of: Account,
  body: Partial<Account>,
  done: string,
  tell: Told,
): Promise<void> {
  working.value = of.id;
  try {
    const path = `/api/admin/users/${of.id}`;
    tell(await send<Account>("PATCH", path, { body, again: true }));
    notice(done, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  } finally {
    working.value = null;
  }
}

async function changeRole(of: Account, tell: Told): Promise<void> {
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
  if (sure) await change(of, { role: isRise ? "admin" : "user" }, done, tell);
}

async function changeDisabled(of: Account, tell: Told): Promise<void> {
  const name = of.username;
  if (of.disabled) return await change(of, { disabled: false }, `${name} may log in again.`, tell);
  const sure = await confirm({
    title: "Disable this account?",
    text: `${name} is logged out at once and cannot log in. What ${name} has bought stays.`,
    yes: "Disable it",
    danger: true,
  });
  if (sure) await change(of, { disabled: true }, `${name} is disabled.`, tell);
}

async function resetFactor(of: Account, tell: Told): Promise<void> {
  const name = of.username;
  const sure = await confirm({
    title: "Reset the second factor?",
    text: `${name} can then log in by the password alone, and is logged out everywhere. Do it for somebody who has lost phone and recovery codes, once you know that it is they who ask.`,
    yes: "Reset it",
    danger: true,
  });
  if (sure) await change(of, { second_factor: false }, `${name} has no second factor now.`, tell);
}

export function AccountActs({ of, tell }: { readonly of: Account; readonly tell: Told }) {
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
        onClick={() => void changeRole(of, tell)}
      >
        {of.role === "admin" ? "Make user" : "Make admin"}
      </Button>
      <Button
        look="quiet"
        small
        off={off}
        label={`${of.disabled ? "Enable" : "Disable"} ${of.username}`}
        onClick={() => void changeDisabled(of, tell)}
      >
        {of.disabled ? "Enable" : "Disable"}
      </Button>
      {of.second_factor && (
        <Button
          look="quiet"
          small
          off={off}
          label={`Reset factor of ${of.username}`}
          onClick={() => void resetFactor(of, tell)}
        >
          Reset factor
        </Button>
      )}
    </span>
  );
}

export const accountColumns: readonly Column<Account>[] = [
  {
    title: "Role",
    of: (row) => (row.role === "admin" ? <Badge tone="accent">Admin</Badge> : <Badge>User</Badge>),
  },
  {
    title: "State",
    of: (row) =>
      row.disabled ? <Badge tone="bad">Disabled</Badge> : <Badge tone="good">Active</Badge>,
  },
  {
    title: "Second factor",
    of: (row) =>
      row.second_factor ? <Badge tone="good">On</Badge> : <span class="soft">Off</span>,
  },
];
