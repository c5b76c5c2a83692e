"use strict";

// Left to itself, the viewer asks a validator on the internet.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  validatorUrl: "none",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
});
