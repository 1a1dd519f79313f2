/** The few things that we use of JupyterLab 4 and Notebook 7; the page brings them, the build needs none of their packages. */

declare module "@lumino/widgets" {
  export class Widget {
    readonly node: HTMLElement;
    readonly isDisposed: boolean;
    dispose(): void;
    addClass(name: string): void;
  }
}

declare module "@jupyterlab/rendermime" {
  import type { Widget } from "@lumino/widgets";

  export interface MimeModel {
    readonly trusted: boolean;
    readonly data: Record<string, unknown>;
  }
  export interface Renderer extends Widget {
    renderModel(model: MimeModel): Promise<void>;
  }
  export interface RendererFactory {
    readonly safe: boolean;
    readonly mimeTypes: readonly string[];
    createRenderer(options: unknown): Renderer;
  }
  export interface RenderMimeRegistry {
    addFactory(factory: RendererFactory, rank?: number): void;
  }
  /** The token under which the registry is handed out. */
  export const IRenderMimeRegistry: { readonly name: string };
}
