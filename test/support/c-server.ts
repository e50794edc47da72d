/** A server of MCP in C: one tool, which reckons with the library of mathematics. */
export const C_SERVER = `#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
static char line[65536];
int main(void) {
  while (fgets(line, sizeof line, stdin)) {
    char *at = strstr(line, "\\"id\\":");
    if (!at) continue;
    long id = strtol(at + 5, NULL, 10);
    if (strstr(line, "\\"initialize\\""))
      printf("{\\"jsonrpc\\":\\"2.0\\",\\"id\\":%ld,\\"result\\":{\\"protocolVersion\\":\\"2025-11-25\\",\\"capabilities\\":{\\"tools\\":{}},\\"serverInfo\\":{\\"name\\":\\"subject\\",\\"version\\":\\"1\\"}}}\\n", id);
    else if (strstr(line, "\\"tools/list\\""))
      printf("{\\"jsonrpc\\":\\"2.0\\",\\"id\\":%ld,\\"result\\":{\\"tools\\":[{\\"name\\":\\"root\\",\\"description\\":\\"The square root of two\\",\\"inputSchema\\":{\\"type\\":\\"object\\"},\\"annotations\\":{\\"readOnlyHint\\":true}}]}}\\n", id);
    else if (strstr(line, "\\"tools/call\\""))
      printf("{\\"jsonrpc\\":\\"2.0\\",\\"id\\":%ld,\\"result\\":{\\"content\\":[{\\"type\\":\\"text\\",\\"text\\":\\"%.6f\\"}]}}\\n", id, sqrt(2.0 + (id < 0)));
    else
      printf("{\\"jsonrpc\\":\\"2.0\\",\\"id\\":%ld,\\"result\\":{}}\\n", id);
    fflush(stdout);
  }
  return 0;
}
`;
