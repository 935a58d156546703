/** postject ships no types. */
declare module 'postject' {
  interface InjectOptions {
    readonly sentinelFuse: string;
    /** For macOS. */
    readonly machoSegmentName?: string;
  }
  const postject: {
    inject(file: string, resource: string, data: Buffer, options: InjectOptions): Promise<void>;
  };
  export default postject;
}
