"""GitHub's GraphQL API."""
