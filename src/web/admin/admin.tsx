/**
 * The administrators' page. Its parts are addressed by the fragment (`/admin#sales`), so that going
 * back works and nothing is loaded anew. What an account may do the server decides; others find a
 * friendly word here.
 */
import { effect, signal } from "@preact/signals";
import { mount } from "../layout.tsx";
import { loginAddress } from "../login/form.tsx";
import { isAdmin, loadUser, user } from "../session.ts";
import { EmptyState, LinkButton } from "../ui.tsx";
import { Attempts, openAttempts } from "./attempts.tsx";
import { Dashboard } from "./dashboard.tsx";
import { openProducts, Products, refreshProducts } from "./products.tsx";
import { openSales, refreshSales, Sales } from "./sales.tsx";
import { watch } from "./stats.ts";
import { openUsers, refreshUsers, Users } from "./users.tsx";

const refreshMs = 10_000;
const nothing = (): void => undefined;

const parts = [
  { name: "live", words: "Live", open: nothing, refresh: nothing, of: Dashboard },
  {
    name: "products",
    words: "Products",
    open: openProducts,
    refresh: refreshProducts,
    of: Products,
  },
  { name: "sales", words: "Sales", open: openSales, refresh: refreshSales, of: Sales },
  { name: "users", words: "Users", open: openUsers, refresh: refreshUsers, of: Users },
  { name: "attempts", words: "Attempts", open: openAttempts, refresh: nothing, of: Attempts },
] as const;

const partNow = () => parts.find(({ name }) => `#${name}` === location.hash) ?? parts[0];
const part = signal(partNow());
addEventListener("hashchange", () => (part.value = partNow()));

function Admin() {
  const { of: Part, name } = part.value;
  if (user.value !== undefined && !isAdmin.value)
    return (
      <div class="wide admin-body">
        <EmptyState title="For administrators" animal={6} whole>
          {user.value === null ? (
            <>
              <p>Log in with an account that may administer the shop.</p>
              <LinkButton href={loginAddress()}>Log in</LinkButton>
            </>
          ) : (
            <>
              <p>
                {user.value.username} may buy in the shop, but not run it. An administrator can
                change that.
              </p>
              <LinkButton href="/shop" look="quiet">
                To the shop
              </LinkButton>
            </>
          )}
        </EmptyState>
      </div>
    );
  return (
    <div class="wide stack admin-body">
      <div class="admin-head">
        <h1>Administration</h1>
        <nav class="tabs" aria-label="Administration">
          {parts.map((one) => (
            <a
              key={one.name}
              href={`#${one.name}`}
              aria-current={one.name === name ? "page" : undefined}
            >
              {one.words}
            </a>
          ))}
        </nav>
      </div>
      {isAdmin.value && <Part key={name} />}
    </div>
  );
}

effect(() => {
  const { name, words, open } = part.value;
  document.title = `${words} · Administration · Stampede`;
  watch(isAdmin.value && name === "live");
  if (isAdmin.value) open();
});

/** What others change shows without a reload; a form that is open is not disturbed by it. */
const refresh = (): void => {
  if (!document.hidden && isAdmin.peek()) part.peek().refresh();
};
setInterval(refresh, refreshMs);
document.addEventListener("visibilitychange", refresh);

void loadUser();
mount(<Admin />);
