import '@modelcontextprotocol/server-everything/dist/transports/stdio.js';
