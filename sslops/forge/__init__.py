"""Where merge requests live: GitLab, GitHub and Forgejo behind the one port that `propose` needs."""
