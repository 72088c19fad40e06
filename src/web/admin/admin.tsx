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
import { openProducts, Products } from "./products.tsx";
import { openSales, Sales } from "./sales.tsx";
import { watch } from "./stats.ts";
import { openUsers, Users } from "./users.tsx";

const parts = [
  { name: "live", words: "Live", open: () => undefined, of: Dashboard },
  { name: "products", words: "Products", open: openProducts, of: Products },
  { name: "sales", words: "Sales", open: openSales, of: Sales },
  { name: "users", words: "Users", open: openUsers, of: Users },
  { name: "attempts", words: "Attempts", open: openAttempts, of: Attempts },
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

void loadUser();
mount(<Admin />);
