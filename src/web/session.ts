/**
 * Who is at the page: the account that is logged in, or a guest with a random name of this browser.
 *
 * `user` is undefined until it is known, null for a guest. An account that has logged in here is
 * remembered by name and role, so that the header does not change after each page's first paint, and
 * guests, who are most, need not ask the server who they are. What an account may do the server decides.
 */
import { computed, signal } from "@preact/signals";
import { Answers } from "./answers.ts";
import {
  beginSession,
  get,
  onUnauthenticated,
  randomWord,
  send,
  storage,
  tabStorage,
} from "./api.ts";
import { notice } from "./notice.tsx";
import { Problem } from "./problems.ts";

type User = {
  readonly id: number | string;
  readonly username: string;
  readonly role: "user" | "admin";
  readonly second_factor?: boolean;
  /** Administrates only once it has one. */
  readonly second_factor_demanded?: boolean;
};

function readRemembered(): User | null {
  try {
    return parseUser(JSON.parse(storage.get("account") ?? "null"));
  } catch {
    return null;
  }
}
const remembered = readRemembered();

export const user = signal<User | null | undefined>(remembered ?? undefined);

function guestName(): string {
  const known = storage.get("user");
  if (known !== null) return known;
  const made = `guest-${randomWord().slice(0, 10)}`;
  storage.set("user", made);
  return made;
}
export const guest: string = guestName();

/** The name to buy under. */
export const buyer = computed(() => user.value?.username ?? guest);
export const isAdmin = computed(() => user.value?.role === "admin");

function parseUser(body: unknown): User | null {
  const found = (body as { user?: unknown } | null | undefined)?.user ?? body;
  return typeof found === "object" && found !== null && "username" in found
    ? (found as User)
    : null;
}

function know(found: User | null): User | null {
  storage.set("account", found === null ? null : JSON.stringify(found));
  user.value = found;
  return found;
}

let asked: Promise<User | null> | null = null;
const answers = new Answers();
/** Asks once a page. A server that cannot say leaves who was known, or a guest. */
export function loadUser(): Promise<User | null> {
  asked ??= askUser();
  return asked;
}

async function askUser(): Promise<User | null> {
  const isTaken = answers.ask();
  try {
    const body = await get<unknown>("/api/auth/me");
    return isTaken() ? know(parseUser(body)) : (user.peek() ?? null);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // Somebody has logged in meanwhile.
    if (!isTaken()) return user.peek() ?? null;
    return error.isSilent ? (user.value ??= null) : know(null);
  }
}

/** For pages that guests use as well: asks only where somebody has logged in before. */
export function loadKnownUser(): void {
  if (remembered !== null) void loadUser();
  else if (asked === null) user.value = null;
}

/** After a log-in or registration: what the server answered. */
export function loggedIn(body: unknown): void {
  answers.void();
  beginSession();
  asked = Promise.resolve(know(parseUser(body)));
}

/** Another tab of this browser has logged somebody in or out. */
addEventListener("storage", (event: StorageEvent) => {
  if (event.key !== null && !event.key.endsWith(".account")) return;
  const found = readRemembered();
  if (found?.id === user.value?.id) return;
  answers.void();
  beginSession();
  asked = Promise.resolve(found);
  user.value = found;
});

const dropMsMax = 3_000;
let dropping: Promise<unknown> = Promise.resolve();
/**
 * A session that has ended, or an account that was disabled: its cookie only gets refusals. Asked once,
 * and not for long: later it could be the cookie of who has logged in since.
 */
function dropSession(): Promise<unknown> {
  dropping = send("POST", "/api/auth/logout", { waitMs: dropMsMax }).catch(() => undefined);
  return dropping;
}
/** Until no old session is being ended: whoever logs in waits for it. */
export const sessionDropped = (): Promise<unknown> => dropping;

onUnauthenticated(() => {
  if (!user.value) return;
  const { username } = user.value;
  loggedIn(null);
  forgetAccount();
  void dropSession();
  notice(`${username} is not logged in any more: the session has ended. Log in to go on.`, "bad");
});

/**
 * Does what a buyer asks for, as whoever is logged in. A guest's browser may still carry the cookie of
 * an ended session, or one of an account that this page does not know of: the first is dropped and the
 * request sent again, the second is told.
 */
export async function asBuyer<T>(does: () => Promise<T>): Promise<T> {
  try {
    return await does();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === "user_mismatch") {
      asked = null;
      await loadUser();
    }
    if (!error.isUnauthenticated || user.value) throw error;
    await dropSession();
    return await does();
  }
}

/** What pages have kept of an account: drafts, keys, claims, tickets of queues. */
function forgetAccount(): void {
  tabStorage.clear();
  storage.set("claims", null);
  storage.set("waits", null);
  storage.set("account-tickets", null);
}

export async function logOut(): Promise<void> {
  await send("POST", "/api/auth/logout", { again: true });
  loggedIn(null);
  forgetAccount();
  location.assign("/");
}

type Theme = "light" | "dark";
const chosen = storage.get("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = signal<Theme>(system.matches ? "dark" : "light");
const choice = signal<Theme | null>(chosen === "light" || chosen === "dark" ? chosen : null);
system.addEventListener("change", () => (systemTheme.value = system.matches ? "dark" : "light"));

/** The theme in force. */
export const theme = computed<Theme>(() => choice.value ?? systemTheme.value);

export function toggleTheme(): void {
  const next: Theme = theme.value === "dark" ? "light" : "dark";
  // Back at the system's own theme there is nothing to remember.
  choice.value = next === systemTheme.value ? null : next;
  storage.set("theme", choice.value);
  if (choice.value === null) delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = choice.value;
}
