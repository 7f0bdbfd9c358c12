/**
 * The four kinds of question that the simulated community asks, in Italian, each with the expert that suits it best.
 *
 * @module
 */

/** A kind of question. */
export interface QueryKind {
  /** The expert that answers it best. */
  readonly expert: string;
  /** Sentences with a gap. */
  readonly openings: readonly string[];
  /** What fills the gap. */
  readonly subjects: readonly string[];
}

/** What the law says, how norms fit together, which principles lie behind them, what the courts have decided. */
export const QUERY_KINDS: readonly QueryKind[] = [
  {
    expert: "literal",
    openings: ["Che cosa prevede {}?", "Qual è il significato letterale di {}?", "Quali termini fissa {}?"],
    subjects: [
      "l'art. 1337 del codice civile",
      "l'art. 52 del codice penale",
      "l'art. 2043 del codice civile",
      "l'art. 163 del codice di procedura civile",
      "l'art. 18 dello Statuto dei lavoratori",
    ],
  },
  {
    expert: "systemic",
    openings: [
      "Come si coordinano {}?",
      "Quale norma prevale tra {}?",
      "Che rapporto c'è, nel sistema, tra {}?",
    ],
    subjects: [
      "la responsabilità contrattuale e quella extracontrattuale",
      "il codice del consumo e il codice civile",
      "il regolamento europeo sulla privacy e la legge nazionale",
      "la disciplina generale dell'appalto e quella degli appalti pubblici",
      "la legge speciale sulle locazioni e il codice civile",
    ],
  },
  {
    expert: "principles",
    openings: [
      "Quale principio costituzionale sorregge {}?",
      "Come si bilanciano i diritti in gioco in {}?",
      "Il principio di proporzionalità come limita {}?",
    ],
    subjects: [
      "la libertà di espressione sui social network",
      "il diritto alla salute nei luoghi di lavoro",
      "l'obbligo di motivazione degli atti amministrativi",
      "la tutela dell'affidamento del contribuente",
      "il segreto professionale dell'avvocato",
    ],
  },
  {
    expert: "precedent",
    openings: [
      "Come si è pronunciata la Cassazione su {}?",
      "Qual è l'orientamento della giurisprudenza su {}?",
      "Ci sono sentenze delle Sezioni Unite su {}?",
    ],
    subjects: [
      "il danno da perdita di chance",
      "la nullità della clausola di recesso",
      "l'usura sopravvenuta nei mutui",
      "il licenziamento per giusta causa",
      "l'assegno di divorzio",
    ],
  },
];
