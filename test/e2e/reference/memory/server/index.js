import './settings.js';
import '@modelcontextprotocol/server-memory/dist/index.js';
