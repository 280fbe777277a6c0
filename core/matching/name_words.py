"""Words that mean something beyond themselves in the name of a contact.

Plain words as ``normalising.plain`` leaves them, in the languages of our members. Each
list is data: to know another word, add it here and a case that needs it.
"""


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


TITLES = {
    "mr": "he",
    "mnr": "he",
    "sir": "he",
    "mrs": "she",
    "ms": "she",
    "miss": "she",
    "mev": "she",
    "mej": "she",
    "me": "she",
    "dame": "she",
    **dict.fromkeys(("mx", "dr", "prof", "professor", "adv", "advocate"), ""),
    **dict.fromkeys(("rev", "reverend", "hon", "ds", "capt"), ""),
}

#: Behind a name; those that are surnames as well (Ma, Ba) are left out.
DEGREES = frozenset({"casa", "phd", "llb", "mba", "bcom", "mcom", "esq", "saipa"})

GENERATIONS = {
    **dict.fromkeys(("jnr", "jr", "junior"), "junior"),
    **dict.fromkeys(("snr", "sr", "senior"), "senior"),
    "ii": "ii",
    "iii": "iii",
    "iv": "iv",
}

#: They belong to the surname that follows: van der Merwe, du Plessis, de la Rey.
PARTICLES = _listed(
    "van von der den de du la le les da dos das di del della ter ten bin ibn al el vd"
)

#: What a company is by law; it stands at the end, and often is not written at all.
LEGAL_FORMS = {
    **dict.fromkeys(("pty", "proprietary", "edms"), "pty"),
    **dict.fromkeys(("ltd", "limited", "bpk", "beperk"), "ltd"),
    **dict.fromkeys(("cc", "bk"), "cc"),
    **dict.fromkeys(("inc", "incorporated"), "inc"),
    **dict.fromkeys(("npc", "npo"), "npc"),
    **dict.fromkeys(("plc", "llc", "llp", "gmbh"), "foreign"),
}

#: A name with one of these is no person's.
ORGANISATIONS = _listed(
    """
    academy accountancy accountant accountants accounting actuaries administrators
    advisers advisors advisory agency associates association attorneys auditors
    auditing bank bookkeepers bookkeeping brothers bros bureau business
    centre center chambers clinic club co college commission company
    conglomerate consultants consultancy consulting corporation corp council
    department dept distributors enterprise enterprises estates farms finance
    financial firm forum foundation fund group holdings hospital hotel incubator
    institute insurance international investments laboratories logistics ltd
    management manufacturing medical mining ministry municipality network office
    partners partnership pharmacy practice practitioners projects
    properties rekenmeesters retail school schools security services society solutions
    stores studio suppliers supplies systems taxation technologies technology trading
    transport trust university ventures wholesalers
    """
)

#: The contact is not in use, or is the person's in a sense that a person must judge.
WARNINGS = _listed(
    "old duplicate dup copy inactive deceased estate late closed archived obsolete "
    "unused replaced wrong test"
)

#: An earlier surname follows.
BORN = _listed("nee born gebore formerly previously vroeer fka")

#: First names that one person may use for another, each line one circle.
_CIRCLES = """
jan johan johannes johann hannes john johnny jean
kobus koos jacobus jaco jacob cobus jakobus
piet pieter petrus peter pete
hendrik henk hennie henry hein
willem wim william bill will billy liam
gert gerrit gerhard gerhardus gerard
frans francois francis frank
christo christiaan christian chris christoffel christopher stoffel
andre andries andrew andy drew
tom thomas tommy thom
mike michael mick michiel giel mitch
dave david davey dawid
rob robert bob bobby bert robbie
rick richard dick ricky
jim james jimmy jamie
tony anthony antonie anton antonius
ed edward eddie ted
steve steven stephen stefan stephan
nick nicholas nicolaas nico niek klaas
joe joseph josef jozef
alex alexander sandy alec
sam samuel samantha
dan daniel danie danny
matt matthew matthys thys
greg gregory
ken kenneth kenny
charl charles karel charlie
theo theodore theunis
liz elizabeth beth elsabe elsa betty lizzie bettie elize
kate katherine catherine cathy kathryn kathy katie catharina trienie
sue susan suzanne susanna sanna susie
annie anna anne ann anneke annette annelie ana
maggie margaret margaretha meg greta margriet
maria mary marie marietjie mia
jenny jennifer jen
debbie deborah deb
pat patricia patrick trish
vicky victoria
chrissie christine christina tina stienie christa
hettie hester esther
johanna joan joanna hanna hannah
"""

_CIRCLE_OF: dict[str, set[int]] = {}
for _number, _line in enumerate(_CIRCLES.split("\n")):
    for _name in _line.split():
        _CIRCLE_OF.setdefault(_name, set()).add(_number)


def may_be_called(one: str, other: str) -> bool:
    """Whether one first name is used for the other: Bob for Robert."""
    return bool(_CIRCLE_OF.get(one, set()) & _CIRCLE_OF.get(other, set()))


#: Mailboxes of an office, not of a person.
ROLES = _listed(
    """
    account accounts admin administration billing bookkeeping contact creditors debtors
    education enquiries finance finances frontdesk hello help helpdesk hr info
    information invoices invoicing mail manager marketing members office orders payments
    payroll pa reception receptionist sales secretary statements studies support tax
    team vat
    """
)
