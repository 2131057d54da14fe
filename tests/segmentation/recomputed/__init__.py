"""What the service says beside independent recomputes: rules and purchases in SQL, shoppers in pandas."""
