import '@modelcontextprotocol/server-sequential-thinking/dist/index.js';
