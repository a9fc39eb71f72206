"""What samplers still import from here."""

from mdmot.arguments import concrete as concrete
