import '@modelcontextprotocol/server-filesystem/dist/index.js';
