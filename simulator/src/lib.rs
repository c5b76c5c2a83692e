//! A faithful local stand-in for the Graph API.
