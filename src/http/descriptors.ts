/**
 * The process's descriptors and what the kernel says of its connections: the system calls that Bun
 * has no function for. On a C library that cannot be opened (musl) there are none of them; on macOS
 * there is the limit alone. Whoever asks gets null, and does without.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, statSync } from "node:fs";

const { i32, ptr: pointer } = FFIType;
const limitCalls = {
  getrlimit: { args: [i32, pointer], returns: i32 },
  setrlimit: { args: [i32, pointer], returns: i32 },
} as const;
const socketCalls = {
  getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, i32], returns: i32 },
  getsockname: { args: [i32, pointer, pointer], returns: i32 },
  getpeername: { args: [i32, pointer, pointer], returns: i32 },
  shutdown: { args: [i32, i32], returns: i32 },
  fcntl: { args: [i32, i32, i32], returns: i32 },
} as const;

// The numbers of <sys/resource.h>, <sys/socket.h> and <netinet/tcp.h>.
const limitOfFiles = process.platform === "darwin" ? 8 : 7;
const levelSocket = 1;
const optionReuseAddress = 2;
const optionSendBuffer = 7;
const optionReusePort = 15;
const optionFilter = 26;
const optionListens = 30;
const levelTcp = 6;
const optionTcpInfo = 11;
const shutdownBoth = 2;
/**
 * What a socket takes when nobody new is to connect: all but what begins a connection. One whose
 * handshake is under way is finished, and taken. In words of `struct sock_filter`, each its code, how
 * far to go on when it holds and when not, and a constant; from where the TCP header begins.
 */
const nobodyNew = new BigUint64Array(
  [
    [0x30, 0, 0, 13], // the flags
    [0x54, 0, 0, 0x12], // of them SYN and ACK
    [0x15, 0, 1, 0x02], // is it SYN alone?
    [0x06, 0, 0, 0], // then nothing is taken,
    [0x06, 0, 0, 0xffff_ffff], // or else all
  ].map(([code = 0, holds = 0, not = 0, constant = 0]) =>
    BigInt.asUintN(64, (BigInt(constant) << 32n) | BigInt(code | (holds << 16) | (not << 24))),
  ),
);
/** `F_DUPFD_CLOEXEC` of <fcntl.h>. */
const duplicateClosing = 1_030;
/** Among the first descriptors is the one that is listened on. */
const listenDescriptorsMax = 256;
/** `tcpi_last_data_sent` in `struct tcp_info`; for a connection that was sent nothing, its age. */
const lastSentOffset = 44;
const tcpInfoBytes = 104;
const addressBytes = 28;

const isLinux = process.platform === "linux";

function opened<T>(open: () => T): T | null {
  try {
    return open();
  } catch {
    return null;
  }
}

const library = isLinux ? "libc.so.6" : "libSystem.B.dylib";

/**
 * Raises how many descriptors the process may have to as many as it is allowed; tells how many.
 * Null where it cannot tell.
 */
export function raiseDescriptors(): number | null {
  const calls = opened(() => dlopen(library, limitCalls).symbols);
  if (calls === null) return null;
  const limit = new BigUint64Array(2);
  if (calls.getrlimit(limitOfFiles, ptr(limit)) !== 0) return null;
  const [soft = 0n, hard = 0n] = limit;
  limit[0] = hard;
  const raised = soft < hard && calls.setrlimit(limitOfFiles, ptr(limit)) === 0;
  const now = raised ? hard : soft;
  return now > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(now);
}

/** How many descriptors are open; null where that cannot be told. */
export function openDescriptors(): number | null {
  const folder = isLinux ? "/proc/self/fd" : "/dev/fd";
  return opened(() => {
    // Linux tells the number as the folder's size since 6.2; before, it has to be read.
    const { size } = statSync(folder);
    return isLinux && size > 0 ? size : readdirSync(folder).length;
  });
}

/** A connection that somebody made to this process. */
type Connection = {
  readonly descriptor: number;
  /** The other end's port. */
  readonly peerPort: number;
  /** How long it has been sent nothing, in ms. */
  readonly silentMs: number;
};

/** What the kernel says of the connections to one port. */
export class Sockets {
  readonly #calls: ReturnType<typeof openSockets>;
  readonly #port: number;
  readonly #address = new Uint8Array(addressBytes);
  readonly #info = new DataView(new ArrayBuffer(tcpInfoBytes));
  readonly #length = new Uint32Array(1);

  private constructor(calls: ReturnType<typeof openSockets>, port: number) {
    this.#calls = calls;
    this.#port = port;
  }

  /** Null where the kernel cannot be asked. */
  static of(port: number): Sockets | null {
    const calls = isLinux ? opened(openSockets) : null;
    return calls === null ? null : new Sockets(calls, port);
  }

  /**
   * Has the kernel keep no more than `bytes` for a client that does not read. What is listened on
   * hands this down to its connections.
   */
  boundSendBuffers(bytes: number): void {
    for (const descriptor of this.#listening()) {
      this.#set(descriptor, optionSendBuffer, bytes);
    }
  }

  /**
   * Has nobody new connect to the port here. Whoever does asks again after a second, and then comes
   * to another process that listens there, or is refused; without it, those who have connected and
   * were not taken by then are cut off when the port is closed.
   */
  takeNobody(): void {
    // A `struct sock_fprog`: the length, and where the filter is.
    const program = new BigUint64Array([BigInt(nobodyNew.length), BigInt(ptr(nobodyNew))]);
    for (const descriptor of this.#listening()) {
      this.#calls.setsockopt(
        descriptor,
        levelSocket,
        optionFilter,
        ptr(program),
        program.byteLength,
      );
    }
  }

  /**
   * Keeps the port that this process listens on, when it stops to do so, for processes of the same
   * user that say that they share it.
   * @param stop has this process not listen there any more
   * @returns a descriptor: for as long as it is open, nobody else can listen there
   */
  keepPort(stop: () => void): number {
    const [listening] = this.#listening();
    if (listening === undefined) throw new Error(`nobody listens on port ${this.#port}`);
    const kept = this.#calls.fcntl(listening, duplicateClosing, 0);
    stop();
    // Nobody can have come in between: the port was listened on until it was not to be shared with
    // any but those.
    this.#set(kept, optionReuseAddress, 0);
    this.#set(kept, optionReusePort, 1);
    this.#calls.shutdown(kept, shutdownBoth);
    return kept;
  }

  /** The connections among the descriptors below `descriptorsMax`; about 1 µs each. */
  connections(descriptorsMax: number): Connection[] {
    const found: Connection[] = [];
    for (let descriptor = 3; descriptor < descriptorsMax; descriptor += 1) {
      if (this.#portOf("getsockname", descriptor) !== this.#port) continue;
      this.#length[0] = tcpInfoBytes;
      const into = ptr(this.#info);
      const told = this.#calls.getsockopt(
        descriptor,
        levelTcp,
        optionTcpInfo,
        into,
        ptr(this.#length),
      );
      const peerPort = this.#portOf("getpeername", descriptor);
      if (told !== 0 || peerPort === null) continue;
      found.push({ descriptor, peerPort, silentMs: this.#info.getUint32(lastSentOffset, true) });
    }
    return found;
  }

  /** Ends a connection; the server hears of it as of a client that has gone. */
  end({ descriptor }: Connection): void {
    this.#calls.shutdown(descriptor, shutdownBoth);
  }

  #set(descriptor: number, option: number, value: number): void {
    const bytes = new Int32Array([value]);
    this.#calls.setsockopt(descriptor, levelSocket, option, ptr(bytes), bytes.byteLength);
  }

  /** The descriptors by which the port is listened on. */
  #listening(): number[] {
    return Array.from({ length: listenDescriptorsMax }, (_, descriptor) => descriptor).filter(
      (descriptor) =>
        this.#listens(descriptor) && this.#portOf("getsockname", descriptor) === this.#port,
    );
  }

  #listens(descriptor: number): boolean {
    const value = new Int32Array(1);
    this.#length[0] = 4;
    const told = this.#calls.getsockopt(
      descriptor,
      levelSocket,
      optionListens,
      ptr(value),
      ptr(this.#length),
    );
    return told === 0 && value[0] === 1;
  }

  /** The port of either end; null for what is no TCP socket. */
  #portOf(end: "getsockname" | "getpeername", descriptor: number): number | null {
    this.#length[0] = addressBytes;
    if (this.#calls[end](descriptor, ptr(this.#address), ptr(this.#length)) !== 0) return null;
    const [family = 0, , high = 0, low = 0] = this.#address;
    return family === 2 || family === 10 ? high * 256 + low : null;
  }
}

const openSockets = () => dlopen(library, socketCalls).symbols;
