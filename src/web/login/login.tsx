/** Log in or register, and back to the page that asked for it (`?back=`). */
import { mount } from "../layout.tsx";
import { loadUser, user } from "../session.ts";
import { LinkButton } from "../ui.tsx";
import { backFrom, LoginForm } from "./form.tsx";

const back = backFrom(location.search);

function Login() {
  const known = user.value;
  return (
    <div class="wide enter">
      <div class="enter-side">
        <img src="/herd/4.svg" width="180" height="180" alt="" />
        <h1>Come in.</h1>
        <p class="soft">
          With an account you buy in the shop, and find what you hold and what you bought on every
          device.
        </p>
      </div>
      <div class="card enter-card">
        {known ? (
          <div class="stack">
            <h2>Hello, {known.username}.</h2>
            <p class="soft">You are logged in.</p>
            <div class="row">
              <LinkButton href={back}>Go on</LinkButton>
            </div>
          </div>
        ) : (
          <LoginForm then={() => location.assign(back)} />
        )}
      </div>
    </div>
  );
}

void loadUser();
mount(<Login />);
