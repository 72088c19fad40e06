/** The processes that sell: which one leads, who takes requests beside it, and how far behind each is. */
import { useEffect } from "preact/hooks";
import { get } from "../api.ts";
import { Moment } from "../time.tsx";
import { Badge, type Column, count, EmptyState } from "../ui.tsx";
import { paged, PagedTable } from "./paged.tsx";

type Node = {
  readonly instance: string;
  readonly process: string | null;
  readonly role: "leader" | "standby" | "front" | "starting";
  readonly version: string;
  readonly url: string;
  readonly machine: string;
  readonly pid: number;
  readonly parent_pid: number | null;
  readonly since: string;
  readonly epoch: number;
  readonly lag_ms: number | null;
  readonly streams: number;
  readonly memory_bytes: number;
};

const everyMs = 2_000;
const megabyte = 1024 * 1024;

const list = paged<Node>(async () => {
  const { nodes } = await get<{ readonly nodes: readonly Node[] }>("/api/admin/nodes");
  return { rows: nodes, next: null };
});

const roles: Readonly<Record<Node["role"], string>> = {
  leader: "Leads",
  standby: "Stands by",
  front: "Front",
  starting: "Starting",
};

const columns: readonly Column<Node>[] = [
  {
    title: "Role",
    of: ({ role }) => <Badge tone={role === "leader" ? "accent" : "plain"}>{roles[role]}</Badge>,
  },
  {
    title: "Process",
    of: ({ process, machine, pid, parent_pid: parent }) => (
      <span>
        <strong>{process ?? machine}</strong>
        {process !== null && ` on ${machine}`}, {pid}
        {parent !== null && <span class="soft"> of {parent}</span>}
      </span>
    ),
  },
  { title: "Address", of: ({ url }) => url },
  { title: "Version", of: ({ version }) => version },
  { title: "Since", of: ({ since }) => <Moment at={since} form="zoned" /> },
  { title: "Term", of: ({ epoch }) => count(epoch), figures: true },
  {
    title: "Behind",
    of: ({ role, lag_ms: lag }) => {
      if (role === "leader") return <span class="soft">–</span>;
      return lag === null ? <Badge tone="bad">Catching up</Badge> : `${count(lag)} ms`;
    },
    figures: true,
  },
  { title: "Streams", of: ({ streams }) => count(streams), figures: true },
  {
    title: "Memory",
    of: ({ memory_bytes: bytes }) => `${count(Math.round(bytes / megabyte))} MB`,
    figures: true,
  },
];

export const openNodes = (): void => void list.again();

export function NodesPart() {
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) list.refresh();
    }, everyMs);
    return () => clearInterval(timer);
  }, []);
  const isAlone = list.rows.value?.length === 1;
  return (
    <section class="stack" aria-label="Processes">
      <PagedTable
        list={list}
        caption="Processes"
        columns={columns}
        keyOf={(row) => row.instance}
        empty={
          <EmptyState title="Nobody has said a word yet" animal={5}>
            <p>Each process tells the one that leads about itself once a second.</p>
          </EmptyState>
        }
      />
      <p class="soft">
        {isAlone
          ? "One process leads and takes all requests. Start another one on the same database, and it stands by: it takes requests too, and leads when this one is gone."
          : "One leads and decides; all take requests. Behind says how much older than the leader's is what a process reads: a quarter of a second where nothing happens."}
      </p>
    </section>
  );
}
