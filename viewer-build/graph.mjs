// The graph page alone loads this: a graph in memory, and its picture by WebGL.
export { MultiDirectedGraph } from "graphology";
export { default as Sigma } from "sigma";
export { EdgeRectangleProgram, NodeProgram } from "sigma/rendering";
export { floatColor } from "sigma/utils";
