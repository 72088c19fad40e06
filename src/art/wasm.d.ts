/** A file that lies beside the program; in the executable it is in it. */
declare module "*.wasm" {
  const path: string;
  export default path;
}
